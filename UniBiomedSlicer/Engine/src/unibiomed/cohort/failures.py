# SPDX-License-Identifier: Apache-2.0
"""What may go wrong with one case while the others go on."""

from __future__ import annotations

from unibiomed.errors import UniBiomedError

#: Files, memory, and libraries' complaints about one image; nothing here means that the next case fails too.
CASE_ERRORS = (UniBiomedError, OSError, ValueError, RuntimeError, MemoryError, ArithmeticError, LookupError)


def reason_of(error: BaseException) -> str:
    """One line for the list of failed cases; ours are sentences already, a library's are named as such."""
    said = " ".join(str(error).split())[:300]
    return said if isinstance(error, UniBiomedError) else f"{type(error).__name__}: {said or 'no reason given'}"
