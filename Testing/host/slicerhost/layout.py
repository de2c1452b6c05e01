# SPDX-License-Identifier: Apache-2.0
"""The layout manager with three slice views: real slice nodes and slice logics, no rendering."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtWidgets

from slicerhost import pythonqt

pythonqt.adapt()

ORIENTATIONS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}


class SliceController(QtWidgets.QWidget):
    slicerNative = True

    def __init__(self, logic: Any):
        super().__init__()
        self._logic = logic

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToAll()

    def setSliceOffsetValue(self, offset: float) -> None:
        self._logic.SetSliceOffset(offset)


class SliceView(QtWidgets.QWidget):
    slicerNative = True

    def forceRender(self) -> None:
        pass

    def scheduleRender(self) -> None:
        pass


class SliceWidget(QtWidgets.QWidget):
    slicerNative = True

    def __init__(self, logic: Any):
        super().__init__()
        self._logic, self._controller, self._view = logic, SliceController(logic), SliceView()

    def sliceLogic(self) -> Any:
        return self._logic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def sliceController(self) -> SliceController:
        return self._controller

    def sliceView(self) -> SliceView:
        return self._view


class LayoutManager:
    def __init__(self, scene: Any, applicationLogic: Any):
        self._widgets: dict[str, SliceWidget] = {}
        logics = applicationLogic.GetSliceLogics()
        if logics is None:
            import vtk

            logics = vtk.vtkCollection()
            applicationLogic.SetSliceLogics(logics)
        self._logics = logics
        self.layout = 3
        for name, orientation in ORIENTATIONS.items():
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(applicationLogic)
            logic.SetMRMLScene(scene)
            node = logic.AddSliceNode(name)
            slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
            node.SetOrientation(orientation)
            node.SetDimensions(256, 256, 1)
            logics.AddItem(logic)
            self._widgets[name] = SliceWidget(logic)

    def mrmlSliceLogics(self) -> Any:
        return self._logics

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(self._widgets)

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return self._widgets.get(name)

    def setLayout(self, layout: int) -> None:
        self.layout = layout

    def resetSliceViews(self) -> None:
        for widget in self._widgets.values():
            widget.sliceLogic().FitSliceToAll()

    def resetThreeDViews(self) -> None:
        pass

    @property
    def threeDViewCount(self) -> int:
        return 0
