# SPDX-License-Identifier: Apache-2.0
"""One widget that shows one field; what Slicer refuses to bind is refused."""

import enum
import pathlib

import ctk
import qt
import slicer

from .annotations import Choice, Decimals, FloatRange, Maximum, Minimum, RangeBounds, SingleStep, WithinRange
from .fields import find


def _numberWidgets():
    return (qt.QSpinBox, qt.QSlider, qt.QDoubleSpinBox, ctk.ctkSliderWidget, ctk.ctkDoubleSpinBox,
            slicer.qMRMLSliderWidget, slicer.qMRMLSpinBox)  # fmt: skip


class Binding:
    """One widget that shows one field. Each kind of widget says what it can show, as in Slicer."""

    def __init__(self, widget, field):
        self.widget, self.field = widget, field
        kind, cls = field.kind, type(widget)
        if kind is bool and cls in (qt.QCheckBox, ctk.ctkCheckBox, qt.QPushButton):
            if cls is qt.QPushButton:
                widget.checkable = True
            self.signal = "toggled(bool)"
            self.read, self.write = lambda: widget.checked, lambda value: widget.setChecked(value)
        elif kind is str and cls is qt.QLineEdit:
            self.signal = "textChanged(QString)"
            self.read, self.write = lambda: widget.text, self._writeText
        elif kind is str and cls is qt.QTextEdit:
            self.signal = "textChanged()"
            self.read, self.write = lambda: widget.toPlainText(), lambda value: widget.setPlainText(value)
        elif kind is str and cls is qt.QLabel:
            self.signal = None
            self.read, self.write = lambda: widget.text, lambda value: widget.setText(value)
        elif kind in (int, float) and cls in _numberWidgets():
            self._bindNumber(cls, kind)
        elif cls in (qt.QComboBox, ctk.ctkComboBox):
            self._bindCombo()
        elif kind is pathlib.Path and cls is ctk.ctkPathLineEdit:
            self.signal = "currentPathChanged(QString)"
            self.read, self.write = lambda: kind(widget.currentPath), lambda value: widget.setCurrentPath(str(value))
        elif field.nodeTypes and cls is slicer.qMRMLNodeComboBox:
            widget.nodeTypes = [one.__name__ for one in field.nodeTypes]
            self.signal = "currentNodeChanged(vtkMRMLNode*)"
            self.read, self.write = lambda: widget.currentNode(), lambda value: widget.setCurrentNode(value)
        elif kind is FloatRange and cls in (ctk.ctkRangeWidget, slicer.qMRMLRangeWidget):
            bounds = find(field.annotations, RangeBounds)
            if bounds is None:
                raise RuntimeError("Cannot have a connection to a range widget where the float is unbounded.")
            widget.setRange(bounds.minimum, bounds.maximum)
            self.signal = "valuesChanged(double,double)"
            self.read = lambda: FloatRange(widget.minimumValue, widget.maximumValue)
            self.write = lambda value: widget.setValues(value.minimum, value.maximum)
        else:
            raise RuntimeError(f"Unable to create GUI connector from datatype '{field.annotated}' to '{cls}'.")

    def _writeText(self, value):
        if value != self.widget.text:
            self.widget.text = value

    def _bindNumber(self, cls, kind):
        field, widget = self.field, self.widget
        if cls in (qt.QSpinBox, qt.QSlider) and kind is float:
            raise RuntimeError(f"Unable to create GUI connector from float to '{cls}'.")
        bounds = find(field.validators, WithinRange)
        low, high = find(field.validators, Minimum), find(field.validators, Maximum)
        minimum = bounds.minimum if bounds else low.minimum if low else None
        maximum = bounds.maximum if bounds else high.maximum if high else None
        if None in (minimum, maximum) and cls in (qt.QSlider, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget):
            raise RuntimeError("Cannot have a connection to ctkSliderWidget where the float types is unbounded.")
        widest = 2**31 - 1 if cls in (qt.QSpinBox, qt.QSlider) else 1e300
        widget.setRange(-widest if minimum is None else minimum, widest if maximum is None else maximum)
        decimals, step = find(field.annotations, Decimals), find(field.annotations, SingleStep)
        if decimals is not None:
            widget.decimals = decimals.value
        if step is not None:
            widget.singleStep = step.value
        self.signal = "valueChanged(int)" if cls in (qt.QSpinBox, qt.QSlider) else "valueChanged(double)"
        self.read, self.write = lambda: kind(widget.value), lambda value: widget.setValue(value)

    def _bindCombo(self):
        field, widget = self.field, self.widget
        if isinstance(field.kind, type) and issubclass(field.kind, enum.Enum):
            values = list(field.kind)
            labels = [field.kind.label(one) if hasattr(field.kind, "label") else one.name for one in values]
        else:
            choice = find(field.annotations, Choice)
            if choice is None:
                raise RuntimeError("ComboBoxToStringableConnector requires the Choice annotation to be used.")
            values, labels = choice.choices, [str(one) for one in choice.choices]
        widget.clear()
        for label in labels:
            widget.addItem(label)
        self.signal = "currentIndexChanged(int)"
        self.read = lambda: values[widget.currentIndex]
        self.write = lambda value: widget.setCurrentIndex(values.index(value))
