"""Bytes that a service may send as an image and nothing here can open, and a host on this machine that sends them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def box(kind: bytes, body: bytes) -> bytes:
    """A box of an ISO base media file."""
    return (len(body) + 8).to_bytes(4, "big") + kind + body


HEIC = box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(b"meta", bytes(range(256))) + box(b"mdat", bytes(range(256)) * 4)
JXL = b"\xff\x0a" + bytes(range(256)) * 3
JXL_BOXES = b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl \0\0\0\0jxl ") + box(b"jxlc", bytes(range(256)))
SVG = (
    b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><g/></svg>\n'
)


@contextmanager
def sending(*bodies: bytes) -> Iterator[tuple[str, Sequence[str]]]:
    """Serve these bodies one after another, the last of them for ever; give the address, and the paths asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = bodies[min(len(asked), len(bodies) - 1)]
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "image/png")  # as hosts do that do not know
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/image.png", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
