# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from fake_engine import FakeEngineService
from UniBiomedSlicerLib.IssueReport import harmless, issueReport


@pytest.fixture
def service(host):
    made = FakeEngineService(state="ready")
    yield made
    made.cleanup()


def test_the_report_has_what_is_needed_to_help(environment, store, service):
    service.writeLog("INFO a line of the log")
    environment.log.append("Resolved 54 packages")
    text = issueReport(store, environment, service)
    for part in ("Extension: 0.1.0", "Slicer:", "System:", "Environment: absent", "Engine state: ready", "Model: mini"):
        assert part in text
    assert "INFO a line of the log" in text
    assert "Resolved 54 packages" in text


def test_the_report_does_not_say_who_or_where_one_is(environment, store, service, monkeypatch):
    monkeypatch.setenv("USER", "mmuster")
    store.remoteUrl = "https://gpu.clinic.example:8443"
    store.remoteToken = "geheim-0123456789"
    service.writeLog(f"reading {Path.home()}/data/x.nrrd for mmuster, /home/anna/y, C:\\Users\\Anna\\z")
    service.writeLog("https://anna:pw@proxy.example/simple gpu.clinic.example:8443 geheim-0123456789")
    service.writeLog("Authorization: Bearer abcdefghijklmnopqrstuvwxyz and anna.muster@clinic.example")
    text = issueReport(store, environment, service)
    for secret in (str(Path.home()) + "/", "mmuster", "anna", "Anna", "pw@", "gpu.clinic", "geheim", "abcdefghijklm"):
        assert secret not in text, secret


def test_words_that_only_look_like_secrets_stay():
    text = "token: missing; the root folder; 10.5 GB at 3:45"
    assert harmless(text, []) == text
