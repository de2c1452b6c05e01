# SPDX-License-Identifier: Apache-2.0
"""The command ``unibiomed``: thin over the library, one file a group of commands.

Exit codes: 0 done, 2 a clear error (one sentence on stderr), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line with ``arguments`` (None: the process's own) and leave with its exit code."""
    try:
        from unibiomed.cli.app import run

        code = run(arguments)
    except KeyboardInterrupt:
        # Before the command line was read, or while its answer was printed.
        code = 130
    sys.exit(code)
