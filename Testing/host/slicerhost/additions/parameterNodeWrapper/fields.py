# SPDX-License-Identifier: Apache-2.0
"""One field: its type, its checks, and how it is kept in a parameter node."""

import enum
import pathlib
import types
import typing

import slicer

from .annotations import Choice, Default, FloatRange, Validator, WithinRange


def split(annotated):
    if typing.get_origin(annotated) is typing.Annotated:
        arguments = typing.get_args(annotated)
        return arguments[0], list(arguments[1:])
    return annotated, []


def find(annotations, kind):
    return next((one for one in annotations if isinstance(one, kind)), None)


def _isUnion(kind):
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _isNode(kind):
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


def nodeTypesOf(kind):
    kinds = typing.get_args(kind) if _isUnion(kind) else (kind,)
    kinds = [split(one)[0] for one in kinds if one is not type(None)]
    return kinds if kinds and all(_isNode(one) for one in kinds) else []


class Field:
    """One field: how it is written to and read from the node's parameters and references."""

    def __init__(self, name, annotated):
        self.name, self.annotated = name, annotated
        self.kind, self.annotations = split(annotated)
        self.validators = [one for one in self.annotations if isinstance(one, Validator)]
        self.nodeTypes = nodeTypesOf(self.kind)
        self.element = None
        if typing.get_origin(self.kind) is list:
            self.element = typing.get_args(self.kind)[0]
        plain = self.kind in (str, bool, int, float, pathlib.Path, FloatRange)
        plain = plain or self.element in (str, int, float, bool)
        if not (plain or self.nodeTypes or (isinstance(self.kind, type) and issubclass(self.kind, enum.Enum))):
            raise Exception(f"Unable to create serializer for {annotated} member {name}")
        found = find(self.annotations, Default)
        self.default = found if found is not None else Default(self._initial())

    def _initial(self):
        if self.nodeTypes:
            return None
        if isinstance(self.kind, type) and issubclass(self.kind, enum.Enum):
            return next(iter(self.kind))
        if self.element is not None:
            return []
        value = pathlib.Path() if self.kind is pathlib.Path else self.kind()
        bounds = find(self.validators, WithinRange)
        if bounds and not bounds.minimum <= value <= bounds.maximum:
            raise ValueError(f"the field {self.name} needs a default within its range")
        choice = find(self.validators, Choice)
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
