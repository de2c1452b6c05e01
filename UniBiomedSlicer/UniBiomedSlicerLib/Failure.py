# SPDX-License-Identifier: Apache-2.0
"""Why something did not work: a code for programs, a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Failure:
    """``code`` is snake_case (the engine's own, or one of this package's), ``message`` one translated sentence,
    ``status`` the HTTP status where there was one."""

    code: str
    message: str
    status: int = 0
