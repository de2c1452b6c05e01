# SPDX-License-Identifier: Apache-2.0
"""*Test connection*: who answers at the remote address, does the token fit, what can it do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.EngineClient import EngineClient
from UniBiomedSlicerLib.Failure import Failure
from UniBiomedSlicerLib.ServerAddress import AddressError, usableAddress

_running: set[ConnectionTest] = set()  # kept until they have told


class ConnectionTest:
    """Greets the server of ``settings`` and asks for its capabilities; ``callback(ok, sentence)`` once."""

    def __init__(self, settings: Any, callback: Callable[[bool, str], None]) -> None:
        self._settings = settings
        self._callback = callback
        self._client: EngineClient | None = None

    def start(self) -> None:
        """Begin."""
        _running.add(self)
        try:
            url = usableAddress(self._settings.remoteUrl)
            self._client = EngineClient(url, self._settings.remoteToken, self._settings.remoteCaFile)
        except AddressError as error:
            sentence = str(error)
            qt.QTimer.singleShot(0, lambda: self._tell(False, sentence))
            return
        self._client.greet(self._greeted)

    def _greeted(self, failure: Failure | None, _answer: Any) -> None:
        if failure is not None:
            self._tell(False, failure.message)
        else:
            self._client.request("GET", "/v1/capabilities", self._known, seconds=15.0)

    def _known(self, failure: Failure | None, answer: Any) -> None:
        if failure is not None:
            self._tell(False, failure.message)
            return
        model = (answer.get("model") or {}).get("title") or _("no model loaded")
        device = answer.get("device") or {}
        self._tell(
            True,
            _("{host} answers: UniBiomed {version}, {model}, {device}.").format(
                host=self._client.host,
                version=answer.get("version", ""),
                model=model,
                device=device.get("name") or device.get("kind") or _("device chosen when a model is loaded"),
            ),
        )

    def _tell(self, ok: bool, sentence: str) -> None:
        _running.discard(self)
        self._callback(ok, sentence)
