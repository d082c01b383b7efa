"""What the page may do, said to the browser: it is the second lock, should a text ever get into the markup."""

from __future__ import annotations

from http_edge.static_files import policy


def security_headers(storage_origin: str | None) -> dict[str, str]:
    """For the shell and each of its files.

    `storage_origin` is where videos and thumbnails are shown from; None while storage is not configured.
    """
    stored = f" {storage_origin}" if storage_origin else ""
    media = stored or " 'none'"
    return policy(
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        f"img-src 'self' blob:{stored}",  # blob: is the picture that somebody is about to send
        f"media-src{media}",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
