# SPDX-License-Identifier: Apache-2.0
"""`slicer.parameterNodeWrapper`: typed fields over a parameter node, bound to widgets.

Made anew, small, after Slicer's documented behaviour; what Slicer refuses (an unknown type, an unbounded slider, a
widget of another kind) is refused here. Fields: str, bool, int, float, Path, Enum, FloatRange, nodes,
lists, Union of nodes.
"""

import enum
import pathlib
import types
import typing
from dataclasses import dataclass

import ctk
import qt
import slicer
import vtk

SlicerParameterNamePropertyName = "SlicerParameterName"


@dataclass
class Default:
    _value: typing.Any = None
    generator: typing.Any = None

    @property
    def value(self):
        return self.generator() if self.generator else self._value


@dataclass
class Decimals:
    value: int


@dataclass
class SingleStep:
    value: float


class Validator:
    def validate(self, value):
        raise NotImplementedError


@dataclass
class WithinRange(Validator):
    minimum: float
    maximum: float

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value must be within range [{self.minimum}, {self.maximum}], is {value}")


@dataclass
class Minimum(Validator):
    minimum: float

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"Value must be at least {self.minimum}, is {value}")


@dataclass
class Maximum(Validator):
    maximum: float

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"Value must be at most {self.maximum}, is {value}")


@dataclass
class Choice(Validator):
    choices: list

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"Value is {value}, but must be in one of the following: {self.choices}")


class NotNone(Validator):
    def validate(self, value):
        if value is None:
            raise ValueError("Value must not be None")


@dataclass
class RangeBounds(Validator):
    minimum: float
    maximum: float

    def validate(self, value):
        if not (self.minimum <= value.minimum and value.maximum <= self.maximum):
            raise ValueError(f"Range must be within [{self.minimum}, {self.maximum}], is {value}")


@dataclass
class FloatRange:
    minimum: float = 0.0
    maximum: float = 0.0


def _split(annotated):
    if typing.get_origin(annotated) is typing.Annotated:
        arguments = typing.get_args(annotated)
        return arguments[0], list(arguments[1:])
    return annotated, []


def _find(annotations, kind):
    return next((one for one in annotations if isinstance(one, kind)), None)


def _isUnion(kind):
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _isNode(kind):
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


def _nodeTypes(kind):
    kinds = typing.get_args(kind) if _isUnion(kind) else (kind,)
    kinds = [_split(one)[0] for one in kinds if one is not type(None)]
    return kinds if kinds and all(_isNode(one) for one in kinds) else []


class _Field:
    """One field: how it is written to and read from the node's parameters and references."""

    def __init__(self, name, annotated):
        self.name, self.annotated = name, annotated
        self.kind, self.annotations = _split(annotated)
        self.validators = [one for one in self.annotations if isinstance(one, Validator)]
        self.nodeTypes = _nodeTypes(self.kind)
        self.element = None
        if typing.get_origin(self.kind) is list:
            self.element = typing.get_args(self.kind)[0]
        plain = self.kind in (str, bool, int, float, pathlib.Path, FloatRange)
        plain = plain or self.element in (str, int, float, bool)
        if not (plain or self.nodeTypes or (isinstance(self.kind, type) and issubclass(self.kind, enum.Enum))):
            raise Exception(f"Unable to create serializer for {annotated} member {name}")
        found = _find(self.annotations, Default)
        self.default = found if found is not None else Default(self._initial())

    def _initial(self):
        if self.nodeTypes:
            return None
        if isinstance(self.kind, type) and issubclass(self.kind, enum.Enum):
            return next(iter(self.kind))
        if self.element is not None:
            return []
        value = pathlib.Path() if self.kind is pathlib.Path else self.kind()
        bounds = _find(self.validators, WithinRange)
        if bounds and not bounds.minimum <= value <= bounds.maximum:
            raise ValueError(f"the field {self.name} needs a default within its range")
        choice = _find(self.validators, Choice)
        return choice.choices[0] if choice and value not in choice.choices else value

    def check(self, value):
        for validator in self.validators:
            validator.validate(value)
        if self.nodeTypes:
            if value is not None and not any(value.IsA(kind.__name__) for kind in self.nodeTypes):
                raise TypeError(f"{self.name} takes no {value.GetClassName()}")
        elif self.element is not None:
            if any(not isinstance(item, self.element) for item in value):
                raise TypeError(f"{self.name} is a list of {self.element.__name__}")
        elif self.kind is float:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{self.name} is a float, not {value!r}")
        elif not isinstance(value, self.kind) or (self.kind is int and isinstance(value, bool)):
            raise TypeError(f"Value of {self.name} must be of type {self.kind}, is {value!r}")

    def isIn(self, node, name):
        return node.HasParameter(name if self.element is None else f"{name}.len")

    def write(self, node, name, value):
        self.check(value)
        with slicer.util.NodeModify(node):
            if self.nodeTypes:
                node.SetParameter(name, "")
                node.SetNodeReferenceID(name, None if value is None else value.GetID())
            elif self.element is not None:
                for index in range(int(node.GetParameter(f"{name}.len") or 0)):
                    node.UnsetParameter(f"{name}.{index}")
                for index, item in enumerate(value):
                    node.SetParameter(f"{name}.{index}", str(item))
                node.SetParameter(f"{name}.len", str(len(value)))
            else:
                node.SetParameter(name, self._text(value))

    def _text(self, value):
        if isinstance(value, enum.Enum):
            return value.name
        if isinstance(value, FloatRange):
            return f"{value.minimum} {value.maximum}"
        return str(value)

    def read(self, node, name):
        if self.nodeTypes:
            return node.GetNodeReference(name)
        if self.element is not None:
            return [self._value(self.element, node.GetParameter(f"{name}.{index}"))
                    for index in range(int(node.GetParameter(f"{name}.len")))]  # fmt: skip
        return self._value(self.kind, node.GetParameter(name))

    def _value(self, kind, text):
        if kind is bool:
            return text == "True"
        if kind is FloatRange:
            return FloatRange(*map(float, text.split()))
        return kind[text] if issubclass(kind, enum.Enum) else kind(text)


def _numberWidgets():
    return (qt.QSpinBox, qt.QSlider, qt.QDoubleSpinBox, ctk.ctkSliderWidget, ctk.ctkDoubleSpinBox,
            slicer.qMRMLSliderWidget, slicer.qMRMLSpinBox)  # fmt: skip


class _Binding:
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
            bounds = _find(field.annotations, RangeBounds)
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
        bounds = _find(field.validators, WithinRange)
        low, high = _find(field.validators, Minimum), _find(field.validators, Maximum)
        minimum = bounds.minimum if bounds else low.minimum if low else None
        maximum = bounds.maximum if bounds else high.maximum if high else None
        if None in (minimum, maximum) and cls in (qt.QSlider, ctk.ctkSliderWidget, slicer.qMRMLSliderWidget):
            raise RuntimeError("Cannot have a connection to ctkSliderWidget where the float types is unbounded.")
        widest = 2**31 - 1 if cls in (qt.QSpinBox, qt.QSlider) else 1e300
        widget.setRange(-widest if minimum is None else minimum, widest if maximum is None else maximum)
        decimals, step = _find(field.annotations, Decimals), _find(field.annotations, SingleStep)
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
            choice = _find(field.annotations, Choice)
            if choice is None:
                raise RuntimeError("ComboBoxToStringableConnector requires the Choice annotation to be used.")
            values, labels = choice.choices, [str(one) for one in choice.choices]
        widget.clear()
        for label in labels:
            widget.addItem(label)
        self.signal = "currentIndexChanged(int)"
        self.read = lambda: values[widget.currentIndex]
        self.write = lambda value: widget.setCurrentIndex(values.index(value))


def parameterNodeWrapper(classtype=None):
    """Class decorator; see Slicer's developer guide."""

    def wrap(cls):
        fields = {}
        for name, annotated in typing.get_type_hints(cls, include_extras=True).items():
            fields[name] = _Field(name, annotated)
            if hasattr(cls, name):
                fields[name].default = Default(getattr(cls, name))
            setattr(cls, name, _property(name))
        for name, member in vars(_Wrapper).items():
            if name == "__init__" or not name.startswith("__"):
                if name != "__init__" and hasattr(cls, name):
                    raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
                setattr(cls, name, member)
        cls.allParameters = fields
        return cls

    return wrap if classtype is None else wrap(classtype)


def isParameterNodeWrapper(classOrObject):
    return hasattr(classOrObject, "allParameters")


def _property(name):
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))


class _Wrapper:
    def __init__(self, parameterNode, prefix=None):
        self.parameterNode = parameterNode
        self._prefix = prefix or ""
        self._bindings, self._tags, self._nextTag, self._updating = {}, {}, 0, False
        for field in self.allParameters.values():
            if not field.isIn(parameterNode, self._prefix + field.name):
                field.write(parameterNode, self._prefix + field.name, field.default.value)

    def _field(self, name):
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}")
        return self.allParameters[name]

    def getValue(self, name):
        field = self._field(name)
        if not field.isIn(self.parameterNode, self._prefix + name):  # the scene was closed
            field.write(self.parameterNode, self._prefix + name, field.default.value)
        return field.read(self.parameterNode, self._prefix + name)

    def setValue(self, name, value):
        self._field(name).write(self.parameterNode, self._prefix + name, value)

    def default(self, name):
        return self._field(name).default

    def dataType(self, name):
        return self._field(name).annotated

    def connectGui(self, gui):
        widgets = gui.findChildren(qt.QWidget) if hasattr(gui, "isWidgetType") else vars(gui).values()
        named = {}
        for widget in widgets:
            if widget.property(SlicerParameterNamePropertyName):
                named[widget.property(SlicerParameterNamePropertyName)] = widget
        return self.connectParametersToGui(named)

    def connectParametersToGui(self, mapping):
        bindings = [_Binding(widget, self._field(name)) for name, widget in mapping.items()]
        self._nextTag += 1
        tag = self._nextTag
        self._bindings[tag] = []
        for binding in bindings:
            binding.write(self.getValue(binding.field.name))
            changed = self._changed(binding)
            if binding.signal and not binding.widget.connect(binding.signal, changed):
                raise RuntimeError(f"no signal {binding.signal}")
            self._bindings[tag].append((binding, changed))
        self._tags[tag] = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: self._updateGui())
        return tag

    def _changed(self, binding):
        def changed():
            if not self._updating:
                self.setValue(binding.field.name, binding.read())

        return changed

    def _updateGui(self):
        if self._updating:
            return
        self._updating = True
        try:
            for bindings in self._bindings.values():
                for binding, _ in bindings:
                    binding.write(self.getValue(binding.field.name))
        finally:
            self._updating = False

    def disconnectGui(self, tag):
        for binding, changed in self._bindings.pop(tag, []):
            if binding.signal and binding.widget:
                binding.widget.disconnect(binding.signal, changed)
        if tag in self._tags:
            self.RemoveObserver(self._tags.pop(tag))

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified):
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        return self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        return self.parameterNode.Modified()
