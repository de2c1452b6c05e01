# SPDX-License-Identifier: Apache-2.0
"""`slicer.modules` and the loading of scripted modules, in the order and with the names that Slicer uses."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from slicerhost import mrmlwidgets, problems, pythonqt

pythonqt.adapt()

Property = QtCore.Property
LOGICS = {"volumes": "vtkSlicerVolumesLogic", "segmentations": "vtkSlicerSegmentationsModuleLogic",
          "terminologies": "vtkSlicerTerminologiesModuleLogic",
          "subjecthierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
          "texts": "vtkSlicerTextsLogic", "tables": "vtkSlicerTablesLogic", "transforms": "vtkSlicerTransformLogic",
          "sequences": "vtkSlicerSequencesLogic", "markups": "vtkSlicerMarkupsLogic", "colors": "vtkSlicerColorLogic",
          "cropvolume": "vtkSlicerCropVolumeLogic", "models": "vtkSlicerModelsLogic"}  # fmt: skip


class Modules(SimpleNamespace):
    """`slicer.modules`: one attribute a module, and whatever anyone puts there."""


class LoadableModule:
    """A C++ module: here only its real logic."""

    def __init__(self, name: str, logic: Any):
        self.name, self._logic = name, logic

    def logic(self) -> Any:
        return self._logic


class ScriptedModule(QtCore.QObject):
    """qSlicerScriptedLoadableModule: what a module's class is given as `parent`."""

    slicerNative = True

    def __init__(self, path: Path):
        super().__init__()
        self._path, self._values = str(path), {}
        self._instance: Any = None
        self._widget: Any = None
        self._logic: Any = None
        self.setObjectName(path.stem)

    def _value(name: str, kind: Any, default: Any) -> Any:  # noqa: N805 - makes the properties below
        return Property(
            kind, lambda self: self._values.get(name, default), lambda self, value: self._values.update({name: value})
        )

    title = _value("title", str, "")
    categories = _value("categories", "QStringList", [])
    dependencies = _value("dependencies", "QStringList", [])
    contributors = _value("contributors", "QStringList", [])
    associatedNodeTypes = _value("associatedNodeTypes", "QStringList", [])
    helpText = _value("helpText", str, "")
    acknowledgementText = _value("acknowledgementText", str, "")
    icon = _value("icon", QtGui.QIcon, QtGui.QIcon())
    hidden = _value("hidden", bool, False)
    widgetRepresentationCreationEnabled = _value("widgetRepresentationCreationEnabled", bool, True)
    path = Property(str, lambda self: self._path)

    def instance(self) -> Any:
        return self._instance

    def widgetRepresentation(self) -> Any:
        if self._widget is None:
            self._widget = ScriptedModuleWidget(self)
        return self._widget

    def createNewWidgetRepresentation(self) -> Any:
        return ScriptedModuleWidget(self)

    def logic(self) -> Any:
        if self._logic is None:
            self._logic = slicer.vtkSlicerScriptedLoadableModuleLogic()
            self._logic.SetMRMLScene(slicer.mrmlScene)
        return self._logic

    def enter(self) -> None:
        self._call("enter")

    def leave(self) -> None:
        self._call("exit")

    def _call(self, method: str) -> None:
        self.widgetRepresentation().setEntered(method == "enter")
        widget = self.widgetRepresentation().self()
        if hasattr(widget, method):
            getattr(widget, method)()


class ScriptedModuleWidget(mrmlwidgets.qMRMLWidget):
    """qSlicerScriptedLoadableModuleWidget: what a module's widget class is given as `parent`."""

    slicerNative = True

    def __init__(self, module: ScriptedModule):
        super().__init__()
        self._python: Any = None
        self._entered = False
        self._module = module
        QtWidgets.QVBoxLayout(self).setContentsMargins(4, 4, 4, 4)
        self.setMRMLScene(slicer.mrmlScene)
        cls = getattr(sys.modules[module.name], module.name + "Widget")
        self._python = cls(self)
        setattr(slicer.modules, module.name + "Widget", self._python)
        self._python.setup()

    def self(self) -> Any:
        return self._python

    def setEntered(self, entered: bool) -> None:
        self._entered = entered

    isEntered = QtCore.Property(bool, lambda self: self._entered)

    def module(self) -> ScriptedModule:
        return self._module


def make(applicationLogic: Any) -> Modules:
    modules = Modules()
    # Slicer's terminology and colour files are no part of slicer-core, and two logics complain about it.
    verbosity = vtk.vtkLogger.GetCurrentVerbosityCutoff()
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
    for name, className in LOGICS.items():
        logic = getattr(slicer, className)()
        applicationLogic.SetModuleLogic(name.capitalize(), logic)
        logic.SetMRMLApplicationLogic(applicationLogic)
        logic.SetMRMLScene(slicer.mrmlScene)
        setattr(modules, name, LoadableModule(name.capitalize(), logic))
    vtk.vtkLogger.SetStderrVerbosity(verbosity)
    return modules


def load(path: Path) -> ScriptedModule:
    """Import a module file, make its class, and put it where Slicer puts it."""
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    python = importlib.import_module(path.stem)
    module = ScriptedModule(path)
    # Slicer makes the instance after the path is known, and registers both names.
    setattr(slicer.modules, path.stem.lower(), module)
    module._instance = getattr(python, path.stem)(module)
    setattr(slicer.modules, path.stem + "Instance", module._instance)
    if not module.title:
        problems.report(f"{path.stem} has no title")
    if hasattr(module._instance, "setup"):
        module._instance.setup()
    slicer.app.moduleManager().add(module)
    slicer.app.moduleManager().moduleLoaded.emit(path.stem)
    return module
