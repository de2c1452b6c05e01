# SPDX-License-Identifier: Apache-2.0
"""The form of the settings: once in module UniBiomed, once as a page of Slicer's settings dialog."""

from __future__ import annotations

from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from UniBiomedSlicerLib.PanelTools import loadPanel
from UniBiomedSlicerLib.Settings import Settings
from UniBiomedSlicerLib.Signal import Signal

# Widget, its property, the signal that tells a change, attribute of Settings.
_FIELDS = (
    ("interpreterPathEdit", "currentPath", "currentPathChanged(QString)", "interpreter"),
    ("environmentPathEdit", "currentPath", "currentPathChanged(QString)", "environmentFolder"),
    ("modelsPathEdit", "currentPath", "currentPathChanged(QString)", "modelsFolder"),
    ("hubEdit", "text", "textChanged(QString)", "hubEndpoint"),
    ("indexEdit", "text", "textChanged(QString)", "indexUrl"),
    ("torchIndexEdit", "text", "textChanged(QString)", "torchIndexUrl"),
    ("proxyEdit", "text", "textChanged(QString)", "proxy"),
    ("wheelsPathEdit", "currentPath", "currentPathChanged(QString)", "wheelsFolder"),
    ("offlineCheckBox", "checked", "toggled(bool)", "offline"),
    ("argumentsEdit", "text", "textChanged(QString)", "installerArguments"),
)
_CHOICES = (
    ("deviceComboBox", "device"),
    ("logLevelComboBox", "logLevel"),
    ("torchComboBox", "torchBuild"),
)


class SettingsForm:
    """Shows the settings and writes each change at once; ``edited()`` when it has."""

    def __init__(self, settings: Settings) -> None:
        self.widget, self.ui = loadPanel("UniBiomedSlicerSettings")
        self.edited = Signal("SettingsForm.edited")
        self._settings = settings
        self._loading = False
        for edit in (self.ui.environmentPathEdit, self.ui.modelsPathEdit, self.ui.wheelsPathEdit):
            edit.filters = ctk.ctkPathLineEdit.Dirs
        for name, values in _values().items():
            combo = getattr(self.ui, name)
            for value, text in values.items():
                combo.addItem(text, value)
        self.refresh()
        for name, _property, signal, _key in _FIELDS:
            getattr(self.ui, name).connect(signal, self._onEdited)
        for name, _key in _CHOICES:
            getattr(self.ui, name).connect("currentIndexChanged(int)", self._onEdited)

    def refresh(self) -> None:
        """Read the settings anew; another form may have changed them."""
        self._loading = True
        for name, property_, _signal, key in _FIELDS:
            widget, value = getattr(self.ui, name), getattr(self._settings, key)
            if getattr(widget, property_) != value:
                setattr(widget, property_, value)
        for name, key in _CHOICES:
            combo, value = getattr(self.ui, name), getattr(self._settings, key)
            index = combo.findData(value)
            if index < 0:
                # A value that was typed into the settings file by hand, as "cuda:1".
                combo.addItem(value, value)
                index = combo.count - 1
            combo.setCurrentIndex(index)
        self._loading = False

    def _onEdited(self, value: Any = None) -> None:
        if self._loading:
            return
        for name, property_, _signal, key in _FIELDS:
            new = getattr(getattr(self.ui, name), property_)
            new = new if isinstance(new, bool) else str(new or "").strip()
            if new != getattr(self._settings, key):
                setattr(self._settings, key, new)
        for name, key in _CHOICES:
            combo = getattr(self.ui, name)
            new = str(combo.itemData(combo.currentIndex))
            if new != getattr(self._settings, key):
                setattr(self._settings, key, new)
        self.edited.emit()


class SettingsPage:
    """The form inside the page that Slicer's settings dialog takes, which puts texts back when it is cancelled."""

    def __init__(self, settings: Settings) -> None:
        self.form = SettingsForm(settings)
        self.panel = ctk.ctkSettingsPanel()
        layout = qt.QVBoxLayout(self.panel)
        layout.addWidget(self.form.widget)
        for name, property_, signal, key in _FIELDS:
            widget = getattr(self.form.ui, name)
            self.panel.registerProperty(Settings.keyOf(key), widget, property_, str(qt.SIGNAL(signal)))


def _values() -> dict[str, dict[str, str]]:
    automatic = _("Automatic")
    return {
        "deviceComboBox": {
            "auto": automatic,
            "cpu": _("Processor"),
            "cuda": _("NVIDIA GPU"),
            "mps": _("GPU of a Mac (MPS)"),
        },
        "logLevelComboBox": {"info": _("Normal"), "debug": _("Everything"), "warning": _("Warnings only")},
        "torchComboBox": {
            "auto": automatic,
            "cpu": _("Processor"),
            "cu126": "CUDA 12.6",
            "cu128": "CUDA 12.8",
            "cu130": "CUDA 13.0",
        },
    }
