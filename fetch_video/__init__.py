"""Queue `video-fetch`: stream one output into Blob Storage, verify it, record it."""
