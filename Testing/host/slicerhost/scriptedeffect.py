# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N801 - the names are those of the C++ classes
"""qSlicerSegmentEditorScriptedEffect: the C++ half of an effect written in Python, over the real editor logic."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from slicerhost import problems, pythonqt

pythonqt.adapt()

Property, Signal = QtCore.Property, QtCore.Signal
EVERYWHERE = (0, -1, 0, -1, 0, -1)


def _value(name: str, kind: Any, default: Any) -> Any:
    return Property(
        kind, lambda self: self._values.get(name, default), lambda self, value: self._values.update({name: value})
    )


class qSlicerSegmentEditorAbstractEffect(QtCore.QObject):
    slicerNative = True
    ModificationModeSet, ModificationModeAdd, ModificationModeRemove, ModificationModeRemoveAll = range(4)
    NotConfirmed, ConfirmedWithoutDialog, ConfirmedWithDialog = range(3)

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._values: dict[str, Any] = {}
        self._logic: Any = None
        self._widget: Any = None
        self._node: Any = None
        self._active = False
        self._frame = QtWidgets.QFrame()
        QtWidgets.QFormLayout(self._frame)

    name = _value("name", str, "UnnamedScriptedEffect")
    title = _value("title", str, "")
    perSegment = _value("perSegment", bool, True)
    requireSegments = _value("requireSegments", bool, True)
    showEffectCursorInSliceView = _value("showEffectCursorInSliceView", bool, True)
    showEffectCursorInThreeDView = _value("showEffectCursorInThreeDView", bool, False)

    # Options

    def optionsFrame(self) -> Any:
        return self._frame

    def optionsLayout(self) -> Any:
        return self._frame.layout()

    def addOptionsWidget(self, widget: Any) -> None:
        self.optionsLayout().addRow(widget)

    def addLabeledOptionsWidget(self, label: str, widget: Any) -> Any:
        shown = QtWidgets.QLabel(label)
        self.optionsLayout().addRow(shown, widget)
        return shown

    # State

    def active(self) -> bool:
        return self._active

    def parameterSetNode(self) -> Any:
        return self._node

    def scene(self) -> Any:
        return self._node.GetScene() if self._node is not None else None

    def selectEffect(self, name: str) -> None:
        self._widget.setActiveEffectByName(name)

    def saveStateForUndo(self) -> None:
        self._logic.SaveStateForUndo()

    # Parameters: attributes of the editor node, with the effect's name in front; changes make one custom event.

    def parameter(self, name: str) -> str:
        for key in (f"{self.name}.{name}", name):
            if self._node.GetAttribute(key) is not None:
                return self._node.GetAttribute(key)
        problems.report(f"the parameter {name} of the effect {self.name} is read before it is set")
        return ""

    def integerParameter(self, name: str) -> int:
        return int(self.parameter(name) or 0)

    def doubleParameter(self, name: str) -> float:
        return float(self.parameter(name) or 0)

    def parameterDefined(self, name: str) -> bool:
        return self.commonParameterDefined(f"{self.name}.{name}")

    def commonParameterDefined(self, name: str) -> bool:
        return bool(self._node.GetAttribute(name))

    def setParameter(self, name: str, value: Any) -> None:
        self.setCommonParameter(f"{self.name}.{name}", value)

    def setParameterDefault(self, name: str, value: Any) -> None:
        if not self.parameterDefined(name):
            self.setParameter(name, value)

    def setCommonParameter(self, name: str, value: Any) -> None:
        if not isinstance(value, (str, int, float)):
            raise TypeError(f"an effect's parameter is str, int or float, not {value!r}")
        text, old = str(value), self._node.GetAttribute(name)
        if text == (old or ""):
            return
        disabled = self._node.GetDisableModifiedEvent()
        self._node.SetDisableModifiedEvent(1)
        self._node.SetAttribute(name, text)
        self._node.SetDisableModifiedEvent(disabled)
        self._node.InvokeCustomModifiedEvent(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)

    # Images

    def modifierLabelmap(self) -> Any:
        return self._logic.GetModifierLabelmap()

    def defaultModifierLabelmap(self) -> Any:
        return self._logic.GetModifierLabelmap() if self._logic.ResetModifierLabelmapToDefault() else None

    def maskLabelmap(self) -> Any:
        return self._logic.GetMaskLabelmap() if self._logic.UpdateMaskLabelmap() else None

    def selectedSegmentLabelmap(self) -> Any:
        return self._logic.GetSelectedSegmentLabelmap() if self._logic.UpdateSelectedSegmentLabelmap() else None

    def referenceGeometryImage(self) -> Any:
        return self._logic.GetReferenceGeometryImage() if self._logic.UpdateReferenceGeometryImage() else None

    def sourceVolumeImageData(self) -> Any:
        return self._logic.GetAlignedSourceVolume() if self._logic.UpdateAlignedSourceVolume() else None

    def modifySelectedSegmentByLabelmap(self, labelmap: Any, mode: int, *more: Any) -> None:
        node = self.parameterSetNode()
        self.modifySegmentByLabelmap(
            node.GetSegmentationNode(), node.GetSelectedSegmentID() or "", labelmap, mode, *more
        )

    def modifySegmentByLabelmap(self, node: Any, segmentId: str, labelmap: Any, mode: int, *more: Any) -> None:
        extent, bypass = EVERYWHERE, False
        for value in more:
            if isinstance(value, bool):
                bypass = value
            else:
                extent = tuple(value)
        names = ("ModificationModeSet", "ModificationModeAdd", "ModificationModeRemove", "ModificationModeRemoveAll")
        mode = getattr(self._logic, names[mode])
        self._logic.ModifySegmentByLabelmap(node, segmentId, labelmap, mode, extent, self.perSegment, bypass)

    def confirmCurrentSegmentVisible(self) -> int:
        node = self.parameterSetNode().GetSegmentationNode()
        segmentId = self.parameterSetNode().GetSelectedSegmentID()
        display = node.GetDisplayNode() if node is not None else None
        if display is None or (display.GetVisibility() and display.GetSegmentVisibility(segmentId)):
            return self.ConfirmedWithoutDialog
        box = QtWidgets.QMessageBox()
        box.setText("The currently selected segment is hidden. Would you like to make it visible?")
        box.setStandardButtons(QtWidgets.QMessageBox.Yes | QtWidgets.QMessageBox.No | QtWidgets.QMessageBox.Cancel)
        answer = box.exec_()
        if answer == QtWidgets.QMessageBox.Cancel:
            return self.NotConfirmed
        if answer == QtWidgets.QMessageBox.Yes:
            display.SetVisibility(True)
            display.SetSegmentVisibility(segmentId, True)
        return self.ConfirmedWithDialog


class qSlicerSegmentEditorScriptedEffect(qSlicerSegmentEditorAbstractEffect):
    slicerNative = True

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._python: Any = None
        self._source = ""

    def setPythonSource(self, source: str) -> bool:
        """The class is looked for in the module named like the folder; not there, the file is run as that module."""
        path = Path(source)
        moduleName = path.parent.name
        className = path.stem if path.stem.endswith("Effect") else path.stem + "Effect"
        module = sys.modules.get(moduleName)
        if module is None or not hasattr(module, className):
            specification = importlib.util.spec_from_file_location(moduleName, source)
            module = importlib.util.module_from_spec(specification)
            sys.modules[moduleName] = module
            specification.loader.exec_module(module)
        self._python = getattr(module, className)(self)
        self._source = source
        setattr(slicer, moduleName, self._python)
        return True

    def pythonSource(self) -> str:
        return self._source

    def self(self) -> Any:
        return self._python

    # What the editor calls

    def call(self, method: str, *arguments: Any) -> Any:
        function = getattr(self._python, method, None)
        if function is None:
            return None
        try:
            return function(*arguments)
        except Exception:  # noqa: BLE001 - as in Slicer: printed, and the editor goes on; here it also fails the test
            problems.reportException(*sys.exc_info())
            return None

    def clone(self) -> Any:
        return self.call("clone")

    def icon(self) -> Any:
        return self.call("icon") or QtGui.QIcon()

    def helpText(self) -> str:
        return self.call("helpText") or ""

    def attach(self, widget: Any, logic: Any) -> None:
        self._widget, self._logic = widget, logic

    def setParameterSetNode(self, node: Any) -> None:
        self._node = node

    def activate(self) -> None:
        self._frame.setVisible(True)
        self._active = True
        self.updateGUIFromMRML()
        self.call("activate")

    def deactivate(self) -> None:
        self._frame.setVisible(False)
        self._active = False
        self.call("deactivate")

    def updateGUIFromMRML(self) -> None:
        self.call("updateGUIFromMRML")

    def updateMRMLFromGUI(self) -> None:
        self.call("updateMRMLFromGUI")

    def interactionNodeModified(self, node: Any) -> None:
        if hasattr(self._python, "interactionNodeModified"):
            self.call("interactionNodeModified", node)
        elif node.GetCurrentInteractionMode() != node.ViewTransform:
            self.selectEffect("")


class qSlicerSegmentEditorEffectFactory(QtCore.QObject):
    slicerNative = True
    effectRegistered = Signal(str)
    _instance: Any = None

    def __init__(self):
        super().__init__()
        self._effects: list[Any] = []

    @classmethod
    def instance(cls) -> Any:
        if cls._instance is None:
            cls._instance = cls()
        return cls._instance

    def registerEffect(self, effect: Any) -> bool:
        if any(one.name == effect.name for one in self._effects):
            return False
        self._effects.append(effect)
        self.effectRegistered.emit(effect.name)
        return True

    def registeredEffects(self) -> list[Any]:
        return list(self._effects)

    def forget(self) -> None:
        self._effects.clear()
