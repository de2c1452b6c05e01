# SPDX-License-Identifier: Apache-2.0
"""The last lines of a log that may grow without end."""

from __future__ import annotations

from collections import deque

MAX_LINE = 4000


class LogRing:
    """Keeps the last ``lines`` lines. Bytes may arrive cut anywhere, also within a character."""

    def __init__(self, lines: int = 2000) -> None:
        self._lines: deque[str] = deque(maxlen=lines)
        self._rest = b""

    def add(self, line: str) -> None:
        """Append one line."""
        self._lines.append(line[:MAX_LINE])

    def feed(self, data: bytes) -> list[str]:
        """Append what has become whole lines with ``data``, and return those."""
        *whole, self._rest = (self._rest + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if len(self._rest) > 16 * MAX_LINE:  # a line without end is cut
            whole.append(self._rest)
            self._rest = b""
        return self._take(whole)

    def flush(self) -> list[str]:
        """Append the unfinished line, and return it if there is one."""
        rest, self._rest = self._rest, b""
        return self._take([rest])

    def last(self, count: int) -> list[str]:
        """The last ``count`` lines, oldest first."""
        return list(self._lines)[-count:]

    def text(self) -> str:
        """All lines that are kept."""
        return "\n".join(self._lines)

    def _take(self, raw: list[bytes]) -> list[str]:
        lines = [line.decode("utf-8", errors="replace")[:MAX_LINE] for line in raw if line.strip()]
        self._lines.extend(lines)
        return lines
