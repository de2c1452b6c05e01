# SPDX-License-Identifier: Apache-2.0
"""The class decorator."""

import typing

import qt
import vtk

from .annotations import Default
from .bindings import Binding
from .fields import Field

SlicerParameterNamePropertyName = "SlicerParameterName"


def parameterNodeWrapper(classtype=None):
    """Class decorator; see Slicer's developer guide."""

    def wrap(cls):
        fields = {}
        for name, annotated in typing.get_type_hints(cls, include_extras=True).items():
            fields[name] = Field(name, annotated)
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
        bindings = [Binding(widget, self._field(name)) for name, widget in mapping.items()]
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
