"""Queue `video-poll`: poll a job once, record what was seen, chain on."""
