# SPDX-License-Identifier: Apache-2.0
"""The protocol from the other side, for Python programs that use an engine elsewhere; 3D Slicer has its own client."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx
import numpy as np

from unibiomed.errors import InputError, UniBiomedError
from unibiomed.server import PROTOCOL

if TYPE_CHECKING:
    from unibiomed.tasks.results import Result
    from unibiomed.volumes.volume import Volume

_PIECE = 8 << 20
_RECONNECTS = 5
_ENDS = ("done", "failed", "cancelled")
Event = dict[str, Any]


class EngineError(UniBiomedError):
    """What the engine refused, or how a job ended other than well; ``code`` as in ``docs/protocol.md``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Client:
    """A session on an engine; use it as a context, so that what it left there is freed.

    ``url`` as the engine printed it, ``ca_file`` the certificate to trust in place of the system's. No proxy is used.
    Raises InputError where nobody answers or the versions differ, EngineError for all that the engine refuses.
    """

    def __init__(self, url: str, token: str, *, ca_file: Path | None = None, timeout: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {token}", "UniBiomed-Protocol": str(PROTOCOL)}
        verify = ssl.create_default_context(cafile=ca_file)
        self._http = httpx.Client(base_url=url, headers=headers, verify=verify, timeout=timeout, trust_env=False)
        try:
            self._check_version(url)
            self._session = self._ask("POST", "/v1/sessions")["session"]
        except BaseException:
            self._http.close()
            raise
        self._http.headers["UniBiomed-Session"] = self._session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the session; where the engine is gone already, nothing is left to be ended."""
        try:
            self._http.delete(f"/v1/sessions/{self._session}")
        except httpx.HTTPError:
            pass
        finally:
            self._http.close()

    def capabilities(self) -> dict[str, Any]:
        """What the engine is and can do."""
        return self._ask("GET", "/v1/capabilities")

    def load_model(self, name: str = "mini", **how: Any) -> dict[str, Any]:
        """Load a model by name; ``how``: device, dtype, quantize. Returns its description."""
        job = self._ask("POST", "/v1/models/load", {"model": name, **how})["job"]
        return json.loads(self._finished(job, None))

    def send(self, volume: Volume) -> str:
        """Send a volume unless the engine has it, and return its id there."""
        array = np.ascontiguousarray(volume.array[:])
        data = memoryview(array.astype(array.dtype.newbyteorder("<"), copy=False)).cast("B")
        source = volume.source
        uids = {name: getattr(source, name) for name in ("series_uid", "study_uid", "frame_of_reference_uid")}
        told = self._ask(
            "POST",
            "/v1/volumes",
            {
                "sha256": hashlib.sha256(data).hexdigest(),
                "shape": list(array.shape),
                "dtype": array.dtype.name,
                "ijk_to_ras": volume.ijk_to_ras.tolist(),
                "modality": volume.modality,
                "spatial": volume.spatial,
                "name": volume.name[:200],
                "bytes": len(data),
                "source": {name: uid for name, uid in uids.items() if uid},
            },
        )
        while not told["complete"]:
            start = told["received"]
            piece = bytes(data[start : start + _PIECE])
            path = f"/v1/volumes/{told['volume']}/data"
            told = self._checked(self._send("PUT", path, params={"offset": start}, content=piece)).json()
        return told["volume"]

    def run(
        self, task: str, volume: Volume | str, *, on_event: Callable[[Event], None] | None = None, **parameters: Any
    ) -> Result:
        """Have ``unibiomed.tasks.<task>`` done on a volume (or the id of one that was sent) and return its result.

        ``on_event`` is given each event of the job; what it raises cancels the job.
        """
        from unibiomed.tasks.schema import from_json

        where = volume if isinstance(volume, str) else self.send(volume)
        job = self._ask("POST", "/v1/jobs", {"task": task, "volume": where, "parameters": parameters})["job"]
        return from_json(self._finished(job, on_event))

    def export(self, kind: str, document: dict[str, Any]) -> bytes:
        """A report in another form."""
        return self._checked(self._send("POST", "/v1/exports", json={"kind": kind, "document": document})).content

    def events(self, job: str) -> Iterator[Event]:
        """A job's events to its end, taken up again where a connection breaks."""
        last, left = 0, _RECONNECTS
        while True:
            try:
                path = f"/v1/jobs/{job}/events?after={last}"
                with self._http.stream("GET", path) as lines:
                    if lines.status_code != httpx.codes.OK:
                        lines.read()
                        self._checked(lines)
                    for line in lines.iter_lines():
                        event = json.loads(line)
                        if event["event"] == "alive":
                            continue
                        last, left = event["seq"], _RECONNECTS
                        yield event
                        if event["event"] in _ENDS:
                            return
            except httpx.TransportError as error:
                if left == 0:
                    raise InputError(f"The engine does not answer any more: {error}.") from error
            left -= 1

    def _finished(self, job: str, on_event: Callable[[Event], None] | None) -> bytes:
        """The result of a job, deleted there once it is here."""
        ended: Event = {}
        try:
            for ended in self.events(job):
                if on_event is not None:
                    on_event(ended)
            if ended["event"] != "done":
                said = ended.get("message", "The job was cancelled.")
                raise EngineError(ended.get("code", "cancelled"), said)
            return self._checked(self._send("GET", f"/v1/jobs/{job}/result")).content
        finally:
            self._send("DELETE", f"/v1/jobs/{job}")

    def _check_version(self, url: str) -> None:
        answer = self._send("GET", "/protocol")
        try:
            told = answer.json()
            name, spoken, version = told["name"], told["protocol"], told["version"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"What answers at {url} is not a UniBiomed engine.") from error
        if name != "unibiomed" or spoken != PROTOCOL:
            raise InputError(
                f"The engine at {url} (version {version}) speaks protocol {spoken} and this program protocol "
                f"{PROTOCOL}; update the older of the two."
            )

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._checked(self._send(method, path, json=body)).json()

    def _send(self, method: str, path: str, **what: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **what)
        except httpx.TransportError as error:
            raise InputError(f"The engine at {self._http.base_url} does not answer: {error}.") from error

    @staticmethod
    def _checked(answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        try:
            error = answer.json()["error"]
            code, message = str(error["code"]), str(error["message"])
        except (ValueError, KeyError, TypeError):
            code, message = "bad_answer", f"The engine answered with status {answer.status_code}."
        raise EngineError(code, message)
