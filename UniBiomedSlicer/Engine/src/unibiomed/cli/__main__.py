# SPDX-License-Identifier: Apache-2.0
"""``python -m unibiomed.cli``."""

from __future__ import annotations

from unibiomed.cli import main

if __name__ == "__main__":
    main()
