"""The page's files, as they are served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from http_edge.static_files import StaticFiles, on_disk
from web.bundle import script_of, style_of

SHELL = "index.html"
OPERATIONS = "operations.html"
HELP = "help.html"

_STATIC = Path(__file__).parent / "static"
_AS_THEY_ARE = (SHELL, OPERATIONS, HELP, "theme.js", "icons.svg", "logo.svg")
_SHEETS = ("base.css", "composer.css", "extras.css", "feed.css", "windows.css")
_PLAIN_SHEETS = ("base.css", "plain.css")


def _find() -> dict[str, Callable[[], bytes]]:
    return {
        **on_disk(_STATIC / name for name in _AS_THEY_ARE),
        "studio.js": lambda: script_of(_STATIC / "app.js"),
        "studio.css": lambda: style_of(_STATIC / name for name in _SHEETS),
        "operations.js": lambda: script_of(_STATIC / "operations.js"),
        "plain.css": lambda: style_of(_STATIC / name for name in _PLAIN_SHEETS),
    }


FILES = StaticFiles(_find)
