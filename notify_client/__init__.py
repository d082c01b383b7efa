"""Queue `video-notify`: tell a client's webhook that its job has ended."""
