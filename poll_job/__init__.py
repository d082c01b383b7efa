"""Queue `video-poll`: poll a job once, store the result, send the next poll message."""
