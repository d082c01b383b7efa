"""HTTP `POST /api/jobs`: validate a request, store the job, submit it to the backend, start its poll chain."""
