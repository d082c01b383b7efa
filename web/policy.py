"""What the page may do, said to the browser: it is the second lock, should a text ever get into the markup."""

from __future__ import annotations

POLICY_HEADERS = {
    "Content-Security-Policy": "Scripts and styles of the app only, videos and stills of its storage only.",
    "Cross-Origin-Opener-Policy": "No other page gets hold of this one's window.",
    "Cross-Origin-Resource-Policy": "No other page takes the file in.",
    "Permissions-Policy": "The page needs nothing of the machine.",
    "Referrer-Policy": "Nobody is told where a request comes from.",
    "X-Content-Type-Options": "The type is what it says.",
    "X-Frame-Options": "No other page shows this one, for browsers that don't know `frame-ancestors`.",
}
"""What the headers below are for."""


def security_headers(storage_origin: str | None) -> dict[str, str]:
    """For the shell and each of its files.

    `storage_origin` is where videos and stills are shown from; None while storage is not configured.
    """
    stored = f" {storage_origin}" if storage_origin else ""
    media = stored or " 'none'"
    directives = (
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
    return {
        "Content-Security-Policy": "; ".join(directives),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
