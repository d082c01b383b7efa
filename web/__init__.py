"""HTTP `GET /api/studio`: the page for people. Its files are in `static/`; there is no build step."""
