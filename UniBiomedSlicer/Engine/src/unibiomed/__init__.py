# SPDX-License-Identifier: Apache-2.0
"""Grounded biomedical image interpretation with UniBiomed: segments and text that speaks of them.

``unibiomed.load`` opens a model; the heavy libraries are imported only then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load"]

if TYPE_CHECKING:
    from unibiomed.model import load


def __getattr__(name: str) -> Any:
    """Import ``load`` on first use, so that ``import unibiomed`` costs no torch import."""
    if name == "load":
        from unibiomed.model import load

        return load
    raise AttributeError(f"module 'unibiomed' has no attribute {name!r}")
