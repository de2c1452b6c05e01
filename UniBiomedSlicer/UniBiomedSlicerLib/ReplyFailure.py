# SPDX-License-Identifier: Apache-2.0
"""What a reply of the engine that is not a success means, in words."""

from __future__ import annotations

import json
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.Failure import Failure

UNAUTHORIZED = "unauthorized"
SESSION_LOST = "session_lost"
UNREACHABLE = "unreachable"
DROPPED = "connection_dropped"
ABORTED = "aborted"


def failureOf(status: int, body: bytes, error: Any, errorText: str, host: str) -> Failure | None:
    """None for a success. ``status`` is 0 where no answer came; ``error`` and ``errorText`` are Qt's."""
    if 200 <= status < 300 and error == qt.QNetworkReply.NoError:
        return None
    if status < 300:
        return _networkFailure(error, errorText, host)
    if status < 400:
        return Failure(
            "not_an_engine",
            _("{host} sends requests on to another address; give the address of the UniBiomed server itself.").format(
                host=host
            ),
            status,
        )
    code, message = _said(body)
    if status == 401:
        return Failure(
            UNAUTHORIZED,
            _("{host} did not accept the access token; check the token in module UniBiomed.").format(host=host),
            status,
        )
    if status == 410:
        code = SESSION_LOST
    if message:
        return Failure(code or f"http_{status}", message, status)
    return Failure(
        "not_an_engine" if status in (404, 405) else f"http_{status}",
        _(
            "{host} answered with HTTP status {status} and no reason, so it is not a UniBiomed server or something in "
            "between answers for it; check the address and whether the server runs."
        ).format(host=host, status=status),
        status,
    )


def notUnderstood(host: str) -> Failure:
    """The answer came, but is not what the protocol says."""
    return Failure(
        "not_an_engine",
        _("{host} answered, but not as a UniBiomed server does; check the address and its version.").format(host=host),
    )


def dropped(host: str) -> Failure:
    """The connection ended before the answer did."""
    return Failure(DROPPED, _("The connection to {host} was lost; try again.").format(host=host))


def timedOut(host: str, seconds: float) -> Failure:
    """No answer within the time given."""
    return Failure(
        UNREACHABLE,
        _("{host} did not answer within {seconds} s; check that the server runs and can be reached.").format(
            host=host, seconds=round(seconds)
        ),
    )


def _said(body: bytes) -> tuple[str, str]:
    try:
        error = json.loads(body)["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, TypeError, KeyError):
        return "", ""


def _networkFailure(error: Any, errorText: str, host: str) -> Failure:
    kinds = qt.QNetworkReply
    if error == kinds.OperationCanceledError:
        return Failure(ABORTED, _("The request was cancelled."))
    if error == kinds.ConnectionRefusedError:
        message = _("No UniBiomed server answers at {host}; start it, or check address and port.")
        return Failure(UNREACHABLE, message.format(host=host))
    if error == kinds.HostNotFoundError:
        return Failure(UNREACHABLE, _("There is no computer called {host}; check the address.").format(host=host))
    if error == kinds.SslHandshakeFailedError:
        message = _(
            "The certificate of {host} is not trusted ({reason}); give the certificate file of the server or its "
            "authority in the settings."
        )
        return Failure("certificate", message.format(host=host, reason=errorText))
    if error == kinds.RemoteHostClosedError:
        return dropped(host)
    return Failure(
        UNREACHABLE, _("{host} cannot be reached: {reason}.").format(host=host, reason=errorText.rstrip("."))
    )
