# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import stat

import pytest
import qt
from UniBiomedSlicerLib.Settings import Settings, settings


def reopened(store, tmp_path):
    store._store.sync()
    return Settings(qt.QSettings(str(tmp_path / "Slicer.ini"), qt.QSettings.IniFormat))


def test_defaults_are_local_mini_and_automatic(store):
    assert (store.profile, store.model, store.device, store.useRemote) == ("local", "mini", "auto", False)


def test_values_keep_their_types_in_the_file(store, tmp_path):
    store.useRemote = True
    store.offline = False
    store.remoteUrl = "https://gpu.example.org:8443"
    again = reopened(store, tmp_path)
    assert again.useRemote is True
    assert again.offline is False
    assert again.remoteUrl == "https://gpu.example.org:8443"
    assert "useremote=true" in (tmp_path / "Slicer.ini").read_text().lower()


def test_the_token_is_not_in_the_settings_file_and_only_its_owner_can_read_it(store, tmp_path):
    store.remoteToken = " secret-token-1 "
    again = reopened(store, tmp_path)
    assert again.remoteToken == "secret-token-1"
    text = (tmp_path / "Slicer.ini").read_text() if (tmp_path / "Slicer.ini").exists() else ""
    assert "secret-token" not in text
    file = tmp_path / "UniBiomed-remote-token"
    if os.name != "nt":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store.remoteToken = ""
    assert not file.exists()


def test_a_token_that_is_not_to_be_remembered_stays_in_memory(store, tmp_path):
    store.rememberRemoteToken = False
    store.remoteToken = "secret-token-2"
    assert store.remoteToken == "secret-token-2"
    assert not (tmp_path / "UniBiomed-remote-token").exists()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://gpu.example.org:8443/", "gpu.example.org:8443"),
        ("https://gpu.example.org", "gpu.example.org"),
        ("", ""),
        ("gpu.example.org", "gpu.example.org"),
        ("http://gpu.example.org", ""),
        ("no address", ""),
    ],
)
def test_consent_is_for_one_host_and_port(store, url, host):
    store.remoteUrl = url
    assert store.remoteHost == host


def test_consent_is_kept_and_can_be_withdrawn(store, tmp_path):
    assert not store.consentGiven("gpu.example.org:8443")
    store.setConsent("gpu.example.org:8443", True)
    again = reopened(store, tmp_path)
    assert again.consentGiven("gpu.example.org:8443")
    assert not again.consentGiven("gpu.example.org")
    again.setConsent("gpu.example.org:8443", False)
    assert not again.consentGiven("gpu.example.org:8443")
    assert not again.consentGiven("")


def test_without_a_store_slicers_own_settings_are_used(host):
    settings().model = "Luffy503/UniBiomed"
    assert qt.QSettings().value("UniBiomed/Model") == "Luffy503/UniBiomed"
