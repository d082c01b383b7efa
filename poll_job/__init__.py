"""Queue `video-poll`: look at a job once, record what was seen, chain on."""
