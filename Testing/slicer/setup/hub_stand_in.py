# SPDX-License-Identifier: Apache-2.0
"""A mirror of the Hugging Face Hub with one model, on loopback: run as a program, prints its port.

``python hub_stand_in.py FOLDER BYTES_PER_SECOND``; serves what ``huggingface_hub`` asks for, with ranges.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME = "Luffy503/UniBiomed"
REVISION = "0123456789abcdef0123456789abcdef01234567"


class Mirror(BaseHTTPRequestHandler):
    """One repository, one revision."""

    folder = Path()
    speed = 0
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._file(withBody=False)

    def do_GET(self) -> None:
        if self.path.startswith(f"/api/models/{NAME}/tree/"):
            self._json(self._tree())
        elif self.path.startswith(f"/api/models/{NAME}"):
            self._json(self._facts())
        else:
            self._file(withBody=True)

    def log_message(self, *arguments: object) -> None:
        pass

    def _facts(self) -> dict[str, object]:
        siblings = []
        for path in sorted(self.folder.iterdir()):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            size = path.stat().st_size
            siblings.append(
                {"rfilename": path.name, "size": size, "lfs": {"sha256": digest, "size": size, "pointerSize": 134}}
            )
        return {
            "_id": "1",
            "id": NAME,
            "modelId": NAME,
            "sha": REVISION,
            "private": False,
            "gated": False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "cardData": {"license": "apache-2.0"},
            "siblings": siblings,
        }

    def _tree(self) -> list[dict[str, object]]:
        entries = []
        for path in sorted(self.folder.iterdir()):
            digest, size = hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size
            lfs = {"oid": digest, "size": size, "pointerSize": 134}
            entries.append({"type": "file", "path": path.name, "size": size, "oid": digest[:40], "lfs": lfs})
        return entries

    def _json(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self, withBody: bool) -> None:
        path = self.folder / Path(self.path.split("?")[0]).name
        if not path.is_file() or "/resolve/" not in self.path:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = path.read_bytes()
        begin = 0
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked:
            begin = int(asked[1])
            with self.folder.with_name("ranges.txt").open("a") as notes:
                notes.write(f"{path.name} {begin}\n")
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("X-Linked-Etag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.end_headers()
        if not withBody:
            return
        step = max(self.speed // 20, 1) if self.speed else len(data)
        for place in range(begin, len(data), step):
            self.wfile.write(data[place : place + step])
            if self.speed:
                time.sleep(0.05)


def main() -> int:
    """Serve until stdin closes."""
    Mirror.folder, Mirror.speed = Path(sys.argv[1]), int(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    import threading

    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
