"""Find the kind of a picture by its content, never by the content type that the client sent."""

from __future__ import annotations

import hashlib
import io

import imagesize

from video_jobs.domain.errors import InvalidRequest
from video_jobs.domain.job import InputImage

LARGEST_IMAGE = 20 * 1024 * 1024
LARGEST_BODY = LARGEST_IMAGE * 4 // 3 + (1 << 20)
"""Bytes of a request: an image in base64, and the rest."""
"""Bytes; what the video APIs take."""


def sniff(content: bytes) -> str | None:
    """`image/png`, `image/jpeg`, `image/webp`, or None for anything else."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def described(content: bytes, field: str = "input_image") -> InputImage:
    """Raises InvalidRequest if it is not an image that the video APIs accept."""
    media_type, width, height = measure(content, field)
    return InputImage(media_type, len(content), hashlib.sha256(content).hexdigest(), width, height)


def measure(content: bytes, field: str = "input_image") -> tuple[str, int, int]:
    """Media type, width and height in pixels. Raises InvalidRequest with what is wrong and how to mend it."""
    if not content:
        raise InvalidRequest.of(field, "is empty; send the image's bytes")
    if len(content) > LARGEST_IMAGE:
        raise InvalidRequest.of(
            field, f"has {len(content)} bytes; at most {LARGEST_IMAGE} (20 MiB) are taken"
        )
    content_type = sniff(content)
    if content_type is None:
        raise InvalidRequest.of(field, "is no PNG, JPEG or WebP image (judged by its content)")
    try:
        width, height = imagesize.get(io.BytesIO(content))
    except (ValueError, TypeError):
        width, height = -1, -1
    if width <= 0 or height <= 0:
        raise InvalidRequest.of(field, f"looks like {content_type} but its size can't be read; is it whole?")
    return content_type, int(width), int(height)
