# SPDX-License-Identifier: Apache-2.0
"""What the engine answers when it does not do what it was asked: a code for programs, a sentence for people."""

from __future__ import annotations

from unibiomed.errors import UniBiomedError


class Refused(UniBiomedError):
    """A request that cannot be served; ``code`` is one of the snake_case words of ``docs/protocol.md``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
