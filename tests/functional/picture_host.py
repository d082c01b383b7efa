"""A host of pictures, over TLS on 127.0.0.1, and the way to it that checks addresses as the app does."""

from __future__ import annotations

import io
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from PIL import Image

from tests.functional.certificates import Authority
from video_jobs.net.addresses import Address, is_public
from video_jobs.net.public_fetch import PublicFetch

NAME = "pictures.example.test"

Talk = Callable[[BaseHTTPRequestHandler], None]


def a_picture(width: int = 48, height: int = 32, kind: str = "PNG") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(written, kind)
    return written.getvalue()


class PictureHost:
    """`at`: what each path answers, a body or something that talks. `fetch` is the app's own, but that loopback is public
    to it."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder)
        self.at: dict[str, bytes | Talk] = {"/a.png": a_picture()}
        self.seen: list[dict[str, str]] = []
        self.names: dict[str, list[str]] = {NAME: ["127.0.0.1"]}
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.seen.append({"path": self.path} | {k.lower(): v for k, v in self.headers.items()})
                answer = host.at.get(self.path, b"")
                if not isinstance(answer, bytes):
                    answer(self)
                    return
                self.send_response(200 if answer else 404)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.certificate(NAME, "127.0.0.1"))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://{NAME}:{self._server.server_port}"
        self.fetch = PublicFetch(
            resolve=self._resolve, is_public=_loopback_is_public, ca_file=str(authority.path)
        )

    def _resolve(self, name: str, port: int) -> list[str]:
        if name not in self.names:
            raise OSError("no such name")
        return self.names[name]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def redirect(to: str) -> Talk:
    def talk(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return talk


def in_pieces(pieces: Any, length: int | None = None) -> Talk:
    """Without an announced length, if none is named, until the connection closes."""

    def talk(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if length is not None:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        try:
            for piece in pieces:
                handler.wfile.write(piece)
        except OSError:
            pass  # the other side has heard enough: that is what is tested
        handler.close_connection = True

    return talk


def _loopback_is_public(address: Address) -> bool:
    return address.is_loopback or is_public(address)
