"""The page's files."""

from __future__ import annotations

from pathlib import Path

from http_edge.static_files import StaticFiles

SHELL = "index.html"

FILES = StaticFiles((Path(__file__).parent / "static").iterdir)
