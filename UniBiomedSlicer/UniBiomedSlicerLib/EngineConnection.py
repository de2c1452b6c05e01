# SPDX-License-Identifier: Apache-2.0
"""From an address to a loaded model: greeting, session, capabilities, model; and a new session when one is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from UniBiomedSlicerLib.EngineClient import EngineClient
from UniBiomedSlicerLib.EngineSession import EngineSession
from UniBiomedSlicerLib.EventStream import EventStream
from UniBiomedSlicerLib.Failure import Failure
from UniBiomedSlicerLib.Signal import Signal

Then = Callable[["Failure | None"], None]


class EngineConnection:
    """``choice``: {"model", "device"} to load where ``load`` is not told otherwise.

    ``keepModel``: a model that the engine has loaded already stays (a remote server's). All ends are told through
    the callbacks; after ``close`` none is called any more.
    """

    def __init__(self, client: EngineClient, choice: dict[str, Any], keepModel: bool) -> None:
        self.client = client
        self.session = EngineSession(client)
        self.capabilities: dict[str, Any] | None = None
        self.choice = choice
        self.modelFailure: Failure | None = None
        self.capabilitiesChanged = Signal("EngineConnection.capabilitiesChanged")  # ()
        self.loading = Signal("EngineConnection.loading")  # (stage: str, fraction: float | None)
        self.sessionLost = Signal("EngineConnection.sessionLost")  # (), before the new one is asked for
        self._keepModel = keepModel
        self._stream: EventStream | None = None
        self._waiting: list[Then] = []
        self._isOpen = False
        self._closed = False
        client.sessionLost.connect(self._onSessionLost)

    def open(self, done: Then) -> None:
        """Greet, open a session, load the model where there is none; ``done(failure)``.

        A model that cannot be loaded is no failure of the connection: see ``modelFailure``.
        """

        def greeted(failure: Failure | None, _answer: Any) -> None:
            if failure is not None:
                self._tell(done, failure)
            else:
                self.session.open(opened)

        def opened(failure: Failure | None) -> None:
            if failure is not None:
                self._tell(done, failure)
            else:
                self.refresh(known)

        def known(failure: Failure | None) -> None:
            if failure is not None:
                self._tell(done, failure)
            elif self.capabilities.get("model") and self._keepModel:
                self._opened(done)
            else:
                self.load(self.choice, loaded)

        def loaded(failure: Failure | None) -> None:
            if failure is not None:
                self._tell(done, failure)
            else:
                self._opened(done)

        self.client.greet(greeted)

    def whenOpen(self, then: Then) -> None:
        """Call ``then(None)`` as soon as there is a session and no model is being loaded, maybe at once; or
        ``then(failure)`` when it is closed before."""
        if self._isOpen and self.client.session and self._stream is None:
            then(None)
        else:
            self._waiting.append(then)

    def refresh(self, done: Then | None = None) -> None:
        """Ask for the capabilities anew: device, memory, models, targets."""

        def answered(failure: Failure | None, answer: Any) -> None:
            if self._closed:
                return
            if failure is None:
                self.capabilities = dict(answer)
                self.capabilitiesChanged.emit()
            if done is not None:
                self._tell(done, failure)

        self.client.request("GET", "/v1/capabilities", answered)

    def load(self, choice: dict[str, Any], done: Then) -> None:
        """Load a model by its name; ``done(None)`` when the capabilities say what came of it (see ``modelFailure``),
        ``done(failure)`` when the engine does not answer any more."""
        self.choice = choice
        self.modelFailure = None

        def failed(failure: Failure) -> None:
            self._endStream()
            self.modelFailure = failure
            self.refresh(finish)

        def finish(failure: Failure | None) -> None:
            self._tell(done, failure)
            self._release()

        def accepted(failure: Failure | None, answer: Any) -> None:
            if self._closed:
                return
            if failure is not None:
                failed(failure)
                return
            self._stream = EventStream(self.client, str(answer["job"]), told, failed)
            self._stream.open()

        def told(event: dict[str, Any]) -> None:
            kind = event["event"]
            if kind == "progress":
                total = event.get("total") or 0
                self.loading.emit(str(event.get("stage", "")), event.get("done", 0) / total if total else None)
            elif kind == "done":
                self._endStream()
                self.refresh(finish)
            elif kind in ("failed", "cancelled"):
                failed(Failure(str(event.get("code", kind)), str(event.get("message", kind))))

        self.client.request("POST", "/v1/models/load", accepted, document=choice)

    def close(self, politely: bool, failure: Failure | None = None) -> None:
        """End it, with ``failure`` as the reason; ``politely`` gives the session back to a server that lives on."""
        if self._closed:
            return
        self._closed = True
        self._isOpen = False
        self._endStream()
        waiting, self._waiting = self._waiting, []
        for then in waiting:
            then(failure or Failure("engine_stopped", _("The engine was stopped.")))
        self.client.close()
        if politely:
            self.session.close()
        self.session.cleanup()
        for signal in (self.capabilitiesChanged, self.loading, self.sessionLost):
            signal.disconnectAll()

    def _opened(self, done: Then) -> None:
        self._isOpen = True
        self._tell(done, None)
        self._release()

    def _release(self) -> None:
        if self._isOpen and self.client.session and self._stream is None and not self._closed:
            waiting, self._waiting = self._waiting, []
            for then in waiting:
                then(None)

    def _onSessionLost(self) -> None:
        if self._closed or not self._isOpen:
            return
        self.sessionLost.emit()

        def opened(failure: Failure | None) -> None:
            if self._closed:
                return
            if failure is None:
                self._release()
            else:
                self.session.unreachable.emit(failure)

        self.session.open(opened)

    def _endStream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _tell(self, done: Then, failure: Failure | None) -> None:
        if not self._closed:
            done(failure)
