"""HTTP `GET /api/studio`: the page for people. Its files lie in `static/`; no build step makes them."""
