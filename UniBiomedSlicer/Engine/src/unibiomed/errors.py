# SPDX-License-Identifier: Apache-2.0
"""The errors that a user is told about. ``str(error)`` is one clear sentence: what, where, what to do."""

from __future__ import annotations


class UniBiomedError(Exception):
    """Base of every error that the engine reports in words; the command line exits with ``exit_code``."""

    exit_code = 2


class InputError(UniBiomedError):
    """An image, a prompt, a name or an option cannot be used as given."""


class OutputError(UniBiomedError):
    """A result cannot be written; what was there before is unchanged."""


class CheckpointError(UniBiomedError):
    """A model folder cannot be loaded or saved; lists the tensors or files at fault."""


class Cancelled(UniBiomedError):
    """The user stopped the work; nothing half-written is left."""

    exit_code = 130
