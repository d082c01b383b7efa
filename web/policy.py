"""The headers that limit what the page may do. They are a second defence, in case a text is ever read as markup."""

from __future__ import annotations

from http_edge.static_files import policy


def security_headers(storage_origin: str | None) -> dict[str, str]:
    """The headers of the page and each of its files.

    `storage_origin` is the origin of videos and thumbnails; None while storage is not configured.
    """
    stored = f" {storage_origin}" if storage_origin else ""
    media = stored or " 'none'"
    return policy(
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        f"img-src 'self' blob:{stored}",  # blob: shows the image that the user has chosen
        f"media-src{media}",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
