"""The reference page: a viewer for the contract. The app serves all its files itself.

The viewer is Swagger UI from the package `flask-swagger-ui`, of which only the files are used.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from http_edge.static_files import ASKED_ABOUT, FOR_A_DAY, StaticFiles, on_disk, policy

PAGE = "reference.html"
HEADERS = policy(
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",  # the viewer's style sheet contains its icons
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)

_OWN = Path(__file__).parent / "static"
_VIEWER = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")


def cache_control(name: str) -> str:
    """How long a browser may keep a file of the page."""
    return FOR_A_DAY if name in _VIEWER else ASKED_ABOUT


def _find() -> dict[str, Callable[[], bytes]]:
    # Its files are found without an import, which would load a web framework.
    found = find_spec("flask_swagger_ui")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("flask-swagger-ui, of requirements.txt, is not installed")
    viewer = Path(found.submodule_search_locations[0]) / "dist"
    return on_disk([*_OWN.iterdir(), *(viewer / name for name in _VIEWER)])


FILES = StaticFiles(_find)
