# SPDX-License-Identifier: Apache-2.0
"""The menu of the kinds of files that a report can become, and the question where it shall go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from UniBiomedReportLib import Exporters


class ExportMenu:
    """Gives ``button`` a menu. ``fileName()`` proposes a name without its ending, ``onChosen(kind, path)`` follows."""

    def __init__(self, button: Any, fileName: Callable[[], str], onChosen: Callable[[str, str], None]) -> None:
        self._button = button
        self._fileName = fileName
        self._onChosen = onChosen
        self._menu = qt.QMenu(button)
        self.actions = []
        for kind, label in (
            (Exporters.HTML, _("HTML with pictures...")),
            (Exporters.PDF, _("PDF...")),
            (Exporters.TEXT, _("Plain text...")),
            (Exporters.JSON, _("JSON...")),
            (Exporters.DICOM_SR, _("DICOM structured report...")),
        ):
            action = qt.QAction(label, self._menu)
            action.setData(kind)
            self._menu.addAction(action)
            self.actions.append(action)
        button.setMenu(self._menu)
        self._menu.connect("triggered(QAction*)", self._onTriggered)

    def cleanup(self) -> None:
        """Let go of the widget."""
        self._menu.disconnect("triggered(QAction*)", self._onTriggered)

    def _onTriggered(self, action: Any) -> None:
        kind = str(action.data())
        suffix = Exporters.SUFFIXES[kind]
        proposed = str(Path.home() / f"{self._fileName()}{suffix}")
        path = qt.QFileDialog.getSaveFileName(self._button, _("Export report"), proposed, f"*{suffix}")
        if path:
            self._onChosen(kind, path if path.endswith(suffix) else path + suffix)
