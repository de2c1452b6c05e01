# SPDX-License-Identifier: Apache-2.0
"""The parts of the module UniBiomed Report; one idea a file."""

__all__: list[str] = []
