# SPDX-License-Identifier: Apache-2.0
"""What the user chose once for this computer: typed values over Slicer's settings file.

Nothing here belongs to a scene, so it is QSettings and not a parameter node. Values are read at every access, because
Slicer's settings dialog writes the same keys.
"""

from __future__ import annotations

import os
from typing import Any, Generic, TypeVar

import qt

from UniBiomedSlicerLib.RemoteToken import RemoteToken
from UniBiomedSlicerLib.ServerAddress import AddressError, usableAddress

T = TypeVar("T", str, bool, int)

PROFILE_LOCAL = "local"
PROFILE_REMOTE = "remote"
BUNDLED_MODEL = "mini"
PUBLISHED_MODEL = "Luffy503/UniBiomed"


class Setting(Generic[T]):
    """One key of the settings file as an attribute of ``Settings``: text, a yes/no or a whole number.

    A value that cannot be read as the type of ``default`` (an edited or older file) counts as absent.
    """

    def __init__(self, key: str, default: T) -> None:
        self.key = f"UniBiomed/{key}"
        self.default = default

    def __get__(self, settings: Settings, owner: type | None = None) -> T:
        return settings.value(self.key, self.default)

    def __set__(self, settings: Settings, value: T) -> None:
        settings.setValue(self.key, value)


class Settings:
    """The settings of UniBiomed. ``store`` is a QSettings; without one, Slicer's own."""

    # A Python of the user's own that has `unibiomed`; empty: the managed environment.
    interpreter = Setting("Interpreter", "")
    # Where the managed environment, its downloads and uv are kept; empty: Slicer's data folder.
    environmentFolder = Setting("EnvironmentFolder", "")
    profile = Setting("Profile", PROFILE_LOCAL)
    # auto, cpu, mps, or the name of one of PyTorch's CUDA builds (cu126, cu128, cu130).
    torchBuild = Setting("TorchBuild", "auto")

    model = Setting("Model", BUNDLED_MODEL)
    # auto, cpu, cuda, cuda:N or mps.
    device = Setting("Device", "auto")
    # Where models are kept; empty: the engine's own place, shared with its command line.
    modelsFolder = Setting("ModelsFolder", "")
    # A mirror of https://huggingface.co; empty: that one.
    hubEndpoint = Setting("HubEndpoint", "")
    licenceAccepted = Setting("LicenceAccepted", "")
    logLevel = Setting("LogLevel", "info")

    # Installer options, all empty or off by default.
    indexUrl = Setting("Installer/IndexUrl", "")
    torchIndexUrl = Setting("Installer/TorchIndexUrl", "")
    proxy = Setting("Installer/Proxy", "")
    wheelsFolder = Setting("Installer/WheelsFolder", "")
    offline = Setting("Installer/Offline", False)
    installerArguments = Setting("Installer/Arguments", "")
    uvConsent = Setting("Installer/UvConsent", False)

    useRemote = Setting("UseRemote", False)
    remoteUrl = Setting("Remote/Url", "")
    remoteCaFile = Setting("Remote/CaFile", "")
    rememberRemoteToken = Setting("Remote/RememberToken", True)

    def __init__(self, store: Any = None) -> None:
        self._store = qt.QSettings() if store is None else store
        self._token = RemoteToken(self._store)

    @classmethod
    def keyOf(cls, name: str) -> str:
        """The key in the settings file of the attribute ``name``."""
        return vars(cls)[name].key

    def value(self, key: str, default: T) -> T:
        """The value of ``key`` as the type of ``default``, which is also the answer where there is none."""
        if not self._store.contains(key):
            return default
        stored = self._store.value(key)
        if isinstance(default, bool):
            # An .ini file holds "true" and "false".
            return stored if isinstance(stored, bool) else str(stored).strip().lower() in ("true", "1")
        if isinstance(default, int):
            try:
                return int(stored)
            except (TypeError, ValueError):
                return default
        return default if stored is None else str(stored)

    def setValue(self, key: str, value: Any) -> None:
        """Store ``value``, or forget ``key`` when ``value`` is None."""
        if value is None:
            self._store.remove(key)
        else:
            self._store.setValue(key, value)

    @property
    def remoteToken(self) -> str:
        """The remote server's access token; kept in a file that only this user can read, or in memory alone."""
        return self._token.read()

    @remoteToken.setter
    def remoteToken(self, token: str) -> None:
        self._token.write(token.strip(), remember=self.rememberRemoteToken)

    @property
    def remoteHost(self) -> str:
        """Host and port of the remote server as consent is given for them; empty when there is no valid address."""
        try:
            url = qt.QUrl(usableAddress(self.remoteUrl))
        except AddressError:
            return ""
        host = url.host()
        return f"{host}:{url.port()}" if host and url.port() >= 0 else host

    def consentGiven(self, host: str) -> bool:
        """Whether the user has agreed that images are sent to ``host`` (as ``remoteHost`` says it)."""
        return bool(host) and self.value(_consentKey(host), False)

    def setConsent(self, host: str, given: bool) -> None:
        """Remember, or withdraw, the consent for ``host``."""
        self.setValue(_consentKey(host), True if given else None)

    @property
    def interpreterInUse(self) -> str:
        """``interpreter``, or what the environment variable UNIBIOMED_INTERPRETER names (tests, managed machines)."""
        return os.environ.get("UNIBIOMED_INTERPRETER", "") or self.interpreter


def settings() -> Settings:
    """Slicer's settings; cheap, so nobody needs to keep it."""
    return Settings()


def _consentKey(host: str) -> str:
    return f"UniBiomed/Remote/Consent/{host.lower()}"
