# SPDX-License-Identifier: Apache-2.0
"""The parts of the module UniBiomed Segment. One idea a file; import files. Only the *Bar, *Line, *Table and *Box files
know widgets; everything else runs without a window."""

__all__: list[str] = []
