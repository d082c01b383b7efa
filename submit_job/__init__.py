"""HTTP `POST /api/jobs`: validate, reserve, submit to the backend, poll from then on."""
