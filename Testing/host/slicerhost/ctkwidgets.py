# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N801 - the names are those of the C++ classes
"""The few CTK widgets that the modules use, with CTK's properties and signals, on plain Qt widgets."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from slicerhost import pythonqt
from slicerhost.ctkinputs import ctkDirectoryButton, ctkPathLineEdit, ctkRangeWidget, ctkSliderWidget

pythonqt.adapt()

Property, Signal = QtCore.Property, QtCore.Signal
HEADER = 24


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A titled header with the contents below, which collapsing hides."""

    slicerNative = True
    # Signal(bool) of PySide 6.12 loses a reference to True or False at each emission from Python: so an object.
    contentsCollapsed = Signal(object)
    signalAliases = {"contentsCollapsed(bool)": "contentsCollapsed"}  # noqa: RUF012

    def __init__(self, *arguments: Any):
        super().__init__(*[item for item in arguments if isinstance(item, QtWidgets.QWidget)])
        self.setText(next((item for item in arguments if isinstance(item, str)), ""))
        self._collapsed = False
        self._shownBefore: list[Any] = []
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(lambda checked: self.setCollapsed(not checked))
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Preferred)
        self.setContentsMargins(4, HEADER + 2, 4, 2)

    def _getCollapsed(self) -> bool:
        return self._collapsed

    def setCollapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self.setChecked(not collapsed)
        children = [child for child in self.children() if isinstance(child, QtWidgets.QWidget)]
        if collapsed:
            self._shownBefore = [child for child in children if not child.isHidden()]
            for child in self._shownBefore:
                child.setVisible(False)
        else:
            for child in self._shownBefore:
                child.setVisible(True)
        self.setMaximumHeight(HEADER if collapsed else 16777215)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, _getCollapsed, setCollapsed)

    def sizeHint(self) -> QtCore.QSize:
        hint = QtCore.QSize(200, HEADER)
        if self.layout() and not self._collapsed:
            hint = hint.expandedTo(self.layout().totalSizeHint())
        return hint

    def minimumSizeHint(self) -> QtCore.QSize:
        return self.layout().totalMinimumSize() if self.layout() and not self._collapsed else QtCore.QSize(40, HEADER)

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() <= HEADER

    def paintEvent(self, event: Any) -> None:
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, HEADER)
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, option)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(8, 6, 12, 12)
        which = QtWidgets.QStyle.PE_IndicatorArrowRight if self._collapsed else QtWidgets.QStyle.PE_IndicatorArrowDown
        painter.drawPrimitive(which, arrow)
        painter.drawText(QtCore.QRect(26, 0, self.width - 30, HEADER), QtCore.Qt.AlignVCenter, self.text)
        painter.setPen(QtGui.QPen(self.palette.mid().color()))
        if not self._collapsed:
            painter.drawRect(0, HEADER - 1, self.width - 1, self.height - HEADER)
        painter.end()


class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    slicerNative = True

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.setCheckable(True)

    collapsed = Property(bool, lambda self: not self.checked, lambda self, value: self.setChecked(not value))


class ctkExpandableWidget(QtWidgets.QFrame):
    slicerNative = True
    orientations = Property(int, lambda self: getattr(self, "_way", 3), lambda self, way: setattr(self, "_way", way))


class ctkComboBox(QtWidgets.QComboBox):
    slicerNative = True

    def setDefaultText(self, text: str) -> None:
        self.setPlaceholderText(text)

    defaultText = Property(str, lambda self: self.placeholderText, setDefaultText)


class ctkCheckBox(QtWidgets.QCheckBox):
    slicerNative = True


class ctkCheckablePushButton(QtWidgets.QPushButton):
    slicerNative = True
    checkBoxControlsButtonToggleState = Property(bool, lambda self: False)


class ctkSearchBox(QtWidgets.QLineEdit):
    slicerNative = True
    showSearchIcon = Property(bool, lambda self: True, lambda self, value: None)


class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    slicerNative = True


class ctkMessageBox(QtWidgets.QMessageBox):
    slicerNative = True

    def _setKey(self, key: str) -> None:
        self._settingsKey = key

    dontShowAgainSettingsKey = Property(str, lambda self: getattr(self, "_settingsKey", ""), _setKey)


class ctkDoubleSpinBox(QtWidgets.QDoubleSpinBox):
    slicerNative = True


class ctkDoubleSlider(QtWidgets.QSlider):
    slicerNative = True


class ctkDoubleRangeSlider(QtWidgets.QWidget):
    slicerNative = True


class ctkSettingsPanel(QtWidgets.QWidget):
    """A page of the settings dialog; registered properties follow the settings, changes are kept at once."""

    slicerNative = True
    OptionNone, OptionRequireRestart, OptionAdvanced = 0, 1, 2
    settingChanged = Signal(str, object)

    def __init__(self, *arguments: Any):
        super().__init__(*[item for item in arguments if isinstance(item, QtWidgets.QWidget)])
        self._settings: Any = None
        self._registered: dict[str, tuple[Any, str]] = {}

    def setSettings(self, settings: Any) -> None:
        self._settings = settings
        for key, (widget, name) in self._registered.items():
            self._load(key, widget, name)

    def settings(self) -> Any:
        return self._settings

    def registerProperty(
        self, key: str, widget: Any, name: str, signal: str, label: str = "", options: int = 0, settings: Any = None
    ) -> None:
        name = str(name)
        if signal.startswith("2"):  # what SIGNAL() makes of it
            signal = signal[1:]
        self._registered[key] = (widget, name)
        if self._settings is not None:
            self._load(key, widget, name)
        pythonqt.connect(widget, signal, lambda *values: self._store(key, widget, name))

    def _load(self, key: str, widget: Any, name: str) -> None:
        if self._settings.contains(key):
            value, current = self._settings.value(key), widget.property(name)
            if isinstance(current, bool):
                value = str(value).lower() in ("true", "1")
            elif isinstance(current, (int, float)):
                value = type(current)(value)
            widget.setProperty(name, value)

    def _store(self, key: str, widget: Any, name: str) -> None:
        if self._settings is not None:
            self._settings.setValue(key, widget.property(name))
        self.settingChanged.emit(key, widget.property(name))


__all__ = ["ctkDirectoryButton", "ctkPathLineEdit", "ctkRangeWidget", "ctkSliderWidget"]
