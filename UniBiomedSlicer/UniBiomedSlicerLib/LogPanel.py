# SPDX-License-Identifier: Apache-2.0
"""The log of the engine and that of the installer, and the report for an issue."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from UniBiomedSlicerLib.Environment import Environment
from UniBiomedSlicerLib.IssueReport import issueReport
from UniBiomedSlicerLib.PanelTools import loadPanel, showText
from UniBiomedSlicerLib.Settings import Settings


class LogPanel:
    """Shows one of the two logs, growing as it is written."""

    def __init__(self, service: Any, environment: Environment, settings: Settings) -> None:
        self.widget, self.ui = loadPanel("UniBiomedSlicerLog")
        self._service = service
        self._environment = environment
        self._settings = settings
        self.ui.engineLogRadio.connect("toggled(bool)", self._onToggled)
        self.ui.reportButton.connect("clicked()", self._onReport)
        service.logLine.connect(self._onEngineLine)
        environment.lineArrived.connect(self._onInstallerLine)
        showText(self.ui.logLabel, "")
        self.refresh()

    def cleanup(self) -> None:
        """Listen to nobody any more."""
        self._service.logLine.disconnect(self._onEngineLine)
        self._environment.lineArrived.disconnect(self._onInstallerLine)

    def refresh(self) -> None:
        """Show the chosen log from its beginning."""
        text = str(self._service.log) if self.ui.engineLogRadio.checked else "\n".join(self._environment.log)
        self.ui.logView.setPlainText(text.rstrip("\n"))
        bar = self.ui.logView.verticalScrollBar()
        bar.setValue(bar.maximum)

    def showInstaller(self) -> None:
        """Turn to the installer's log."""
        self.ui.installerLogRadio.setChecked(True)

    def _onToggled(self, checked: bool = False) -> None:
        self.refresh()

    def _onEngineLine(self, line: str) -> None:
        if self.ui.engineLogRadio.checked:
            self.ui.logView.appendPlainText(line)

    def _onInstallerLine(self, line: str) -> None:
        if not self.ui.engineLogRadio.checked:
            self.ui.logView.appendPlainText(line)

    def _onReport(self) -> None:
        slicer.app.clipboard().setText(issueReport(self._settings, self._environment, self._service))
        showText(self.ui.logLabel, _("The report is in the clipboard; read it through before you paste it."))
