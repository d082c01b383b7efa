"""Text for the picture: which characters the font can draw, how a prompt is wrapped and sized."""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

ELLIPSIS = "…"

# Pillow's own font covers little more than ASCII. These are tried only if a prompt needs more, and each of them may be
# missing.
_WIDER_FONTS = ("DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "msyh.ttc", "Arial Unicode.ttf")

_NEVER_ASSIGNED = "\uffff"


@lru_cache(maxsize=64)
def font(size: int, name: str | None = None) -> Font:
    """The font `name` (None: Pillow's own) at `size` pixels. Raises OSError when it is not installed."""
    return ImageFont.load_default(size=size) if name is None else ImageFont.truetype(name, size)


@lru_cache(maxsize=4096)
def _draws(character: str, name: str | None) -> bool:
    """Whether the font has a glyph: a missing one is drawn exactly as a character that can't exist."""
    if character.isspace():
        return True
    if unicodedata.category(character) in ("Cc", "Cs"):
        return False
    face = font(24, name)
    glyph, missing = face.getmask(character), face.getmask(_NEVER_ASSIGNED)
    return (glyph.size, bytes(glyph)) != (missing.size, bytes(missing))


def choose_font(text: str) -> str | None:
    """The font that can draw most of `text`; None, Pillow's own, when no other does better."""
    wanted = set(text)
    best, most = None, sum(_draws(character, None) for character in wanted)
    for name in _WIDER_FONTS if most < len(wanted) else ():
        try:
            drawn = sum(_draws(character, name) for character in wanted)
        except OSError:
            continue
        if drawn > most:
            best, most = name, drawn
    return best


def legible(text: str, name: str | None) -> str:
    """`text` on one line. Characters that the font lacks are replaced: by the letter without its accents, a symbol's
    name in brackets, else a question mark."""
    return " ".join("".join(_stand_in(character, name) for character in text).split())


def _stand_in(character: str, name: str | None) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Mn"):
        return " " if character.isspace() else ""
    if _draws(character, name):
        return character
    plain = "".join(c for c in unicodedata.normalize("NFKD", character) if _draws(c, name))
    if plain:
        return plain
    if unicodedata.category(character) == "So" and (spoken := unicodedata.name(character, "")):
        return f"[{spoken.lower()}]"
    return "?"


def wrap(text: str, face: Font, width: int) -> list[str]:
    """`text` in lines of at most `width` pixels; a word that is wider than a line is broken."""
    lines: list[str] = []
    line = ""
    for piece in _pieces(text, face, width):
        longer = f"{line} {piece}" if line else piece
        if face.getlength(longer) <= width:
            line = longer
        else:
            lines.append(line)
            line = piece
    return [*lines, line] if line else lines


def _pieces(text: str, face: Font, width: int) -> Iterator[str]:
    """The words; those that are longer than a line are broken. Measures little more than a line at a time."""
    for word in text.split():
        piece = ""
        for character in word:
            if piece and face.getlength(piece + character) > width:
                yield piece
                piece = ""
            piece += character
        yield piece


def fit(
    text: str, name: str | None, width: int, height: int, largest: int, smallest: int
) -> tuple[Font, list[str]]:
    """The largest type, between the two sizes in pixels, with which `text` fits into the box.

    At the smallest size the rest is cut off, and an ellipsis shows it.
    """
    # A picture holds a few hundred words at most: measuring 32,000 characters would cost more than the video.
    text = text if len(text) <= 1000 else text[:1000] + ELLIPSIS
    size = largest
    while True:
        face = font(size, name)
        lines = wrap(text, face, width)
        room = max(1, int(height / line_height(size)))
        if len(lines) <= room or size <= smallest:
            break
        size = max(smallest, int(size * 0.88))
    if len(lines) > room:
        last = lines[room - 1]
        while last and face.getlength(last + ELLIPSIS) > width:
            last = last[:-1]
        lines = [*lines[: room - 1], last + ELLIPSIS]
    return face, lines


def line_height(size: float) -> float:
    """Pixels from one baseline to the next."""
    return size * 1.28
