"""Remove the app's own key from a server's answer before any part of it is stored, logged or shown.

Servers repeat request headers in errors and in other answers. The key is found as it is, and as it looks when it is
escaped for JSON, a URL or HTML.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

REMOVED = "[removed]"

_SHORTEST = 6  # characters; anything shorter would take out parts of ordinary words
_LONGEST_TEXT = 40_000  # characters: more than any text that is kept, and no secret crosses both ends
_MOST_LAYERS = 3  # of escaping, one within the other
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)


class Redactor:
    """Removes these secrets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({s for s in secrets if len(s) >= _SHORTEST}, key=len, reverse=True)
        self._secret = re.compile("|".join(map(re.escape, known)), re.IGNORECASE) if known else None

    def text(self, text: str) -> str:
        """A text that contains an escaped secret is replaced as a whole, since the secret's position in it is
        unknown. A text that is too long is cut off."""
        if self._secret is None:
            return text
        text = self._secret.sub(REMOVED, text[:_LONGEST_TEXT])
        return REMOVED if _hides(self._secret, text) else text

    def data(self, value: Any) -> Any:
        """Parsed JSON, all of whose keys and texts are cleaned."""
        if self._secret is None:
            return value
        root = [value]
        open_ended: list[Any] = [root]
        while open_ended:  # not by recursion: JSON may be nested more deeply than Python calls functions
            inside = open_ended.pop()
            if isinstance(inside, dict):
                entries = [(self.text(key), self._cleaned(each, open_ended)) for key, each in inside.items()]
                inside.clear()
                inside.update(entries)
            else:
                inside[:] = [self._cleaned(each, open_ended) for each in inside]
        return root[0]

    def _cleaned(self, value: Any, open_ended: list[Any]) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict | list):
            open_ended.append(value)
        return value


def _hides(secret: re.Pattern[str], text: str) -> bool:
    for _ in range(_MOST_LAYERS):
        if not any(sign in text for sign in "\\%&"):
            return False
        try:
            plain = html.unescape(unquote(_JSON_ESCAPE.sub(_unescaped, text)))
        except ValueError:  # a number of thousands of digits in an escape
            return True
        if secret.search(plain):
            return True
        if plain == text:
            return False
        text = plain
    return False


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else escape[2]


NOTHING_SECRET = Redactor()
