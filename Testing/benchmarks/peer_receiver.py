# SPDX-License-Identifier: Apache-2.0
"""The other end of the peers' ways, in a process of its own: takes a volume as blosc2 frames, gives a result document.

python peer_receiver.py RESULT.json        prints its port, ends when its stdin closes
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np


class Handler(BaseHTTPRequestHandler):
    """POST /volume: frames of an 8-byte length and blosc2 data; GET /result: the document."""

    protocol_version = "HTTP/1.1"
    result = b""

    def log_message(self, *arguments: object) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        """Unpack into one array, as a server has to before it can compute."""
        import blosc2

        left = int(self.headers["Content-Length"])
        parts = []
        while left:
            (size,) = struct.unpack("<Q", self.rfile.read(8))
            parts.append(np.frombuffer(blosc2.decompress2(self.rfile.read(size)), np.int16))
            left -= 8 + size
        self._answer(str(np.concatenate(parts).nbytes).encode())

    def do_GET(self) -> None:
        """The result."""
        self._answer(self.result)

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until stdin closes."""
    if len(sys.argv) > 1:
        Handler.result = Path(sys.argv[1]).read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
