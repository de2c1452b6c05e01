# SPDX-License-Identifier: Apache-2.0
"""The remote server: its address, token and certificate, a test of the connection, and the consent to send images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from UniBiomedSlicerLib.PanelTools import Question, loadPanel, showText
from UniBiomedSlicerLib.ServerAddress import AddressError, usableAddress
from UniBiomedSlicerLib.Settings import PROFILE_LOCAL, PROFILE_REMOTE, Settings
from UniBiomedSlicerLib.Signal import Signal


class RemoteConsent:
    """Asks once for each server before images are sent to it; the answer is kept in the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._question: Question | None = None

    def ask(self, host: str, answer: Callable[[bool], None]) -> None:
        """``answer(bool)`` is called once; at once where it was agreed before. Fits ``EngineService.consentHook``."""
        if self._settings.consentGiven(host):
            answer(True)
            return
        if self._question is not None:
            # One question at a time; a second asker is told no and can ask again.
            answer(False)
            return

        def answered(agreed: bool) -> None:
            self._question = None
            if agreed:
                self._settings.setConsent(host, True)
            answer(agreed)

        self._question = Question(
            _("Send images to {host}?").format(host=host),
            _(
                "For each image that you work on, its voxels, its geometry, the name of its volume and the identifiers "
                "of its study and series leave this computer, encrypted on the way; no other attribute of "
                "the patient does, but a name, or a face in an image, can tell who somebody is. Agree only if you and "
                "your institution may do so. You are asked once, and can withdraw the consent at any time."
            ),
            _("Send images to this server"),
            answered,
        )

    def cleanup(self) -> None:
        """Close an open question unanswered."""
        if self._question is not None:
            self._question.cleanup()
            self._question = None


class RemotePanel:
    """``changed()`` when the server came into use or went out of it."""

    def __init__(self, service: Any, settings: Settings, consent: RemoteConsent) -> None:
        self.changed = Signal("RemotePanel.changed")
        self.widget, self.ui = loadPanel("UniBiomedSlicerRemote")
        self._service = service
        self._settings = settings
        self._consent = consent
        self._alive = True
        for edit in (self.ui.urlEdit, self.ui.tokenEdit):
            edit.connect("editingFinished()", self._onEdited)
        self.ui.rememberCheckBox.connect("toggled(bool)", self._onRemember)
        self.ui.caPathEdit.connect("currentPathChanged(QString)", self._onCaPath)
        self.ui.testButton.connect("clicked()", self._onTest)
        self.ui.useRemoteButton.connect("clicked()", self._onUse)
        self.ui.withdrawButton.connect("clicked()", self._onWithdraw)
        showText(self.ui.remoteLabel, "")
        self.refresh()

    def cleanup(self) -> None:
        """Answers that still arrive are dropped."""
        self._alive = False

    def refresh(self) -> None:
        """Show the settings."""
        settings = self._settings
        for edit, text in ((self.ui.urlEdit, settings.remoteUrl), (self.ui.tokenEdit, settings.remoteToken)):
            if edit.text != text and not edit.hasFocus():
                edit.setText(text)
        self.ui.rememberCheckBox.blockSignals(True)
        self.ui.rememberCheckBox.setChecked(settings.rememberRemoteToken)
        self.ui.rememberCheckBox.blockSignals(False)
        if self.ui.caPathEdit.currentPath != settings.remoteCaFile:
            self.ui.caPathEdit.setCurrentPath(settings.remoteCaFile)
        self.ui.useRemoteButton.setChecked(settings.useRemote)
        self.ui.useRemoteButton.setText(_("Use this computer again") if settings.useRemote else _("Use this server"))
        self.ui.withdrawButton.setVisible(settings.consentGiven(settings.remoteHost))

    def _onEdited(self) -> None:
        try:
            url = usableAddress(self.ui.urlEdit.text) if self.ui.urlEdit.text.strip() else ""
            problem = ""
        except AddressError as error:
            url, problem = self.ui.urlEdit.text.strip(), str(error)
        self._settings.remoteUrl = url
        if self.ui.urlEdit.text != url:
            self.ui.urlEdit.setText(url)
        try:
            self._settings.remoteToken = self.ui.tokenEdit.text
        except OSError as error:
            problem = _("The token could not be stored: {reason}.").format(reason=error)
        showText(self.ui.remoteLabel, problem)
        self.ui.withdrawButton.setVisible(self._settings.consentGiven(self._settings.remoteHost))

    def _onRemember(self, remember: bool = False) -> None:
        self._settings.rememberRemoteToken = bool(remember)
        self._onEdited()

    def _onCaPath(self, path: str = "") -> None:
        self._settings.remoteCaFile = self.ui.caPathEdit.currentPath

    def _onTest(self) -> None:
        self._onEdited()
        self.ui.testButton.setEnabled(False)
        showText(self.ui.remoteLabel, _("Contacting the server…"))
        self._service.testConnection(self._onTested)

    def _onTested(self, ok: bool, sentence: str) -> None:
        if self._alive:
            self.ui.testButton.setEnabled(True)
            showText(self.ui.remoteLabel, sentence)

    def _onUse(self) -> None:
        self._onEdited()
        if self._settings.useRemote:
            self._switch(False)
            return
        host = self._settings.remoteHost
        if not host:
            self.ui.useRemoteButton.setChecked(False)
            if not self.ui.remoteLabel.text:
                showText(self.ui.remoteLabel, _("Type the address of the server first."))
            return
        self._consent.ask(host, self._onConsent)

    def _onConsent(self, agreed: bool) -> None:
        if not self._alive:
            return
        if agreed:
            self._switch(True)
        else:
            showText(self.ui.remoteLabel, _("No images are sent; this computer is used."))
            self.refresh()

    def _onWithdraw(self) -> None:
        self._settings.setConsent(self._settings.remoteHost, False)
        if self._settings.useRemote:
            self._switch(False)
        showText(self.ui.remoteLabel, _("The consent is withdrawn; no images are sent to this server."))
        self.refresh()

    def _switch(self, useRemote: bool) -> None:
        self._settings.useRemote = useRemote
        self._settings.profile = PROFILE_REMOTE if useRemote else PROFILE_LOCAL
        self._service.stop()
        if useRemote:
            self._service.start()
        showText(
            self.ui.remoteLabel,
            _("All work is done on {host} now.").format(host=self._settings.remoteHost)
            if useRemote
            else _("This computer is used now."),
        )
        self.refresh()
        self.changed.emit()
