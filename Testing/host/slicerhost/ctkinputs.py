# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N801 - the names are those of the C++ classes
"""CTK's widgets for numbers and paths, on plain Qt widgets."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from slicerhost import pythonqt

pythonqt.adapt()

Property, Signal = QtCore.Property, QtCore.Signal


class ctkSliderWidget(QtWidgets.QWidget):
    """A spin box and a slider of one value."""

    slicerNative = True
    valueChanged = Signal(float)

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self._spin = QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spin)
        self._spin.valueChanged.connect(self._spinChanged)
        self._slider.valueChanged.connect(lambda value: self._spin.setValue(value * self.singleStep))

    def _spinChanged(self, value: float) -> None:
        self._slider.blockSignals(True)
        self._slider.setRange(round(self.minimum / self.singleStep), round(self.maximum / self.singleStep))
        self._slider.setValue(round(value / self.singleStep))
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    def setRange(self, low: float, high: float) -> None:
        self._spin.setRange(low, high)

    def setValue(self, value: float) -> None:
        self._spin.setValue(value)

    def setDecimals(self, decimals: int) -> None:
        self._spin.setDecimals(decimals)

    value = Property(float, lambda self: self._spin.value, setValue)
    minimum = Property(float, lambda self: self._spin.minimum, lambda self, value: self._spin.setMinimum(value))
    maximum = Property(float, lambda self: self._spin.maximum, lambda self, value: self._spin.setMaximum(value))
    singleStep = Property(float, lambda self: self._spin.singleStep, lambda self, step: self._spin.setSingleStep(step))
    decimals = Property(int, lambda self: self._spin.decimals, setDecimals)
    suffix = Property(str, lambda self: self._spin.suffix, lambda self, text: self._spin.setSuffix(text))


class ctkRangeWidget(QtWidgets.QWidget):
    """Two spin boxes: the two ends of a range."""

    slicerNative = True
    valuesChanged = Signal(float, float)
    signalAliases = {"valuesChanged(double,double)": "valuesChanged"}  # noqa: RUF012

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._low, self._high = QtWidgets.QDoubleSpinBox(), QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for spin in (self._low, self._high):
            layout.addWidget(spin)
            spin.valueChanged.connect(lambda value: self._changed())
        self._high.setValue(99)

    def _changed(self) -> None:
        if self._low.value > self._high.value:
            (self._high if self._low.hasFocus() else self._low).setValue(
                self._low.value if self._low.hasFocus() else self._high.value
            )
            return
        self.valuesChanged.emit(self._low.value, self._high.value)

    def setRange(self, low: float, high: float) -> None:
        self._low.setRange(low, high)
        self._high.setRange(low, high)

    def setValues(self, low: float, high: float) -> None:
        self._high.blockSignals(True)
        self._high.setValue(high)
        self._high.blockSignals(False)
        self._low.blockSignals(True)
        self._low.setValue(low)
        self._low.blockSignals(False)
        self._changed()

    def _setBoth(self, setter: str, value: Any) -> None:
        for spin in (self._low, self._high):
            getattr(spin, setter)(value)

    minimumValue = Property(float, lambda self: self._low.value, lambda self, value: self._low.setValue(value))
    maximumValue = Property(float, lambda self: self._high.value, lambda self, value: self._high.setValue(value))
    minimum = Property(float, lambda self: self._low.minimum, lambda self, value: self._setBoth("setMinimum", value))
    maximum = Property(float, lambda self: self._low.maximum, lambda self, value: self._setBoth("setMaximum", value))
    singleStep = Property(
        float, lambda self: self._low.singleStep, lambda self, value: self._setBoth("setSingleStep", value)
    )
    decimals = Property(int, lambda self: self._low.decimals, lambda self, value: self._setBoth("setDecimals", value))


class ctkPathLineEdit(QtWidgets.QWidget):
    slicerNative = True
    currentPathChanged = Signal(str)
    Files, Dirs, Executable = 0x002, 0x001, 0x040

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._edit = QtWidgets.QLineEdit()
        self._browse = QtWidgets.QToolButton()
        self._browse.setText("...")
        self._settingKey, self._filters, self._nameFilters = "", 0x002, []
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._edit, 1)
        layout.addWidget(self._browse)
        self._edit.textChanged.connect(self.currentPathChanged)

    def setCurrentPath(self, path: str) -> None:
        self._edit.setText(path)

    def addCurrentPathToHistory(self) -> None:
        pass

    currentPath = Property(str, lambda self: self._edit.text, setCurrentPath)
    settingKey = Property(str, lambda self: self._settingKey, lambda self, value: setattr(self, "_settingKey", value))
    filters = Property(int, lambda self: self._filters, lambda self, value: setattr(self, "_filters", value))
    nameFilters = Property(
        "QStringList", lambda self: self._nameFilters, lambda self, value: setattr(self, "_nameFilters", value)
    )


class ctkDirectoryButton(QtWidgets.QPushButton):
    slicerNative = True
    directoryChanged = Signal(str)

    def setDirectory(self, path: str) -> None:
        self.setText(path)
        self.directoryChanged.emit(path)

    directory = Property(str, lambda self: self.text, setDirectory)
