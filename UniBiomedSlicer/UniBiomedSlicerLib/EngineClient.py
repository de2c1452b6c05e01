# SPDX-License-Identifier: Apache-2.0
"""Requests to one engine over HTTP, by Qt signals; nothing here waits.

Loopback never goes through a proxy. A remote server's certificate is always checked, against the system's authorities
and, where one is given, those of a file. Event streams have connections of their own, so that they never hold up a
request (Qt opens six to a server).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.EngineProcess import PROTOCOL, protocolMismatch
from UniBiomedSlicerLib.EngineReply import Done, EngineReply
from UniBiomedSlicerLib.Failure import Failure
from UniBiomedSlicerLib.ReplyFailure import SESSION_LOST, notUnderstood
from UniBiomedSlicerLib.ServerAddress import AddressError, isLoopback
from UniBiomedSlicerLib.Signal import Signal

CONNECT_SECONDS = 15.0
REQUEST_SECONDS = 60.0


class EngineClient:
    """``baseUrl`` as ``ServerAddress.usableAddress`` gives it. Raises AddressError for an unusable CA file."""

    def __init__(self, baseUrl: str, token: str, caFile: str = "") -> None:
        self.baseUrl = baseUrl.rstrip("/")
        self.host = qt.QUrl(self.baseUrl).authority()
        self.isLoopback = isLoopback(self.baseUrl)
        self.session = ""
        self.sessionLost = Signal("EngineClient.sessionLost")  # (), once for every session
        self._token = token
        self._certificates = _certificates(caFile) if caFile and self.baseUrl.startswith("https") else []
        self._requests = self._manager()
        self._streams = self._manager()
        self._pending: set[EngineReply] = set()

    def greet(self, done: Callable[[Failure | None, dict[str, Any] | None], None]) -> EngineReply:
        """Ask who is there, without a token; a server that speaks another version is a failure told in words."""

        def answered(failure: Failure | None, value: Any) -> None:
            if failure is None and (not isinstance(value, dict) or value.get("name") != "unibiomed"):
                failure = notUnderstood(self.host)
            if failure is None and value.get("protocol") != PROTOCOL:
                message = protocolMismatch(value.get("protocol"), str(value.get("version", "")))
                failure = Failure("protocol_mismatch", message)
            done(failure, value if failure is None else None)

        return self.request("GET", "/protocol", answered, seconds=CONNECT_SECONDS, anonymous=True)

    def request(
        self,
        method: str,
        path: str,
        done: Done,
        *,
        document: Any = None,
        data: bytes | None = None,
        seconds: float = REQUEST_SECONDS,
        anonymous: bool = False,
        asBytes: bool = False,
        sent: Callable[[int], None] | None = None,
    ) -> EngineReply:
        """Send one request; ``done(failure, value)`` is called once, never from within this call.

        ``document`` is sent as JSON, ``data`` as it is. ``sent`` gets the bytes sent so far.
        """
        request = self._prepared(path, anonymous)
        if data is None:
            data = b"" if document is None else json.dumps(document).encode("ascii")
            if document is not None:
                request.setHeader(qt.QNetworkRequest.ContentTypeHeader, "application/json")
        else:
            request.setHeader(qt.QNetworkRequest.ContentTypeHeader, "application/octet-stream")
        if method == "GET":
            sending = self._requests.get(request)
        elif method == "DELETE":
            sending = self._requests.deleteResource(request)
        elif method == "PUT":
            sending = self._requests.put(request, qt.QByteArray(data))
        else:
            sending = self._requests.post(request, qt.QByteArray(data))
        session = self.session

        def answered(failure: Failure | None, value: Any) -> None:
            done(failure, value)
            if failure is not None and failure.code == SESSION_LOST:
                self.forgetSession(session)  # after the one who asked, who must not be told twice

        reply = EngineReply(
            sending,
            answered,
            host=self.host,
            seconds=seconds,
            asBytes=asBytes,
            sent=sent,
            released=self._pending.discard,
        )
        self._pending.add(reply)
        return reply

    def openStream(self, path: str) -> Any:
        """A QNetworkReply for a stream of events, to be read as it comes; it is the caller's to end."""
        return self._streams.get(self._prepared(path, False))

    def forgetSession(self, session: str) -> None:
        """``session`` is no more; told once."""
        if session and session == self.session:
            self.session = ""
            self.sessionLost.emit()

    def close(self) -> None:
        """Give up every request; none of them is answered any more."""
        for reply in list(self._pending):
            reply.abort()
        self._pending.clear()
        self.sessionLost.disconnectAll()

    def _prepared(self, path: str, anonymous: bool) -> Any:
        request = qt.QNetworkRequest(qt.QUrl(self.baseUrl + path))
        # Not sent on to another address: the token would go with it. 0 is ManualRedirectPolicy.
        request.setAttribute(qt.QNetworkRequest.RedirectPolicyAttribute, 0)
        if self._certificates:
            configuration = request.sslConfiguration()
            # Qt may look the system's authorities up only when it needs them, and does not any more once some are set.
            known = list(configuration.caCertificates()) or list(qt.QSslConfiguration.systemCaCertificates())
            configuration.setCaCertificates(known + self._certificates)
            request.setSslConfiguration(configuration)
        if anonymous:
            return request
        headers = {"Authorization": f"Bearer {self._token}", "UniBiomed-Protocol": str(PROTOCOL)}
        if self.session:
            headers["UniBiomed-Session"] = self.session
        for name, value in headers.items():
            request.setRawHeader(qt.QByteArray(name.encode("ascii")), qt.QByteArray(value.encode("utf-8")))
        return request

    def _manager(self) -> Any:
        manager = qt.QNetworkAccessManager()
        if self.isLoopback:
            proxy = qt.QNetworkProxy()
            proxy.setType(qt.QNetworkProxy.NoProxy)
            manager.setProxy(proxy)
        return manager


def _certificates(caFile: str) -> list[Any]:
    if not Path(caFile).is_file():
        raise AddressError(_('The certificate file "{path}" does not exist.').format(path=caFile))
    found = list(qt.QSslCertificate.fromPath(caFile))
    if not found:
        raise AddressError(_('"{path}" holds no certificate in PEM form.').format(path=caFile))
    return found
