# SPDX-License-Identifier: Apache-2.0
"""The access token of the remote server: not in Slicer's settings file, which people copy and attach to reports."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_FILE = "UniBiomed-remote-token"

# Tokens that shall not be remembered, by the file that would hold them; gone when Slicer is closed.
_UNREMEMBERED: dict[Path, str] = {}


class RemoteToken:
    """A file beside the settings file, readable by its owner alone (mode 600; on Windows the profile's own rights)."""

    def __init__(self, store: Any) -> None:
        self._path = Path(str(store.fileName())).with_name(_FILE)

    def read(self) -> str:
        """The token, or an empty text."""
        if self._path in _UNREMEMBERED:
            return _UNREMEMBERED[self._path]
        try:
            return self._path.read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def write(self, token: str, *, remember: bool) -> None:
        """Keep ``token``; an empty one is forgotten. Raises ``OSError`` when the file cannot be written."""
        _UNREMEMBERED.pop(self._path, None)
        if not token or not remember:
            self._path.unlink(missing_ok=True)
            if token:
                _UNREMEMBERED[self._path] = token
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        # The mode is given at creation, so that there is no moment in which others can read it.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(token)
        temporary.replace(self._path)
