# SPDX-License-Identifier: Apache-2.0
"""The widgets that say which slices are searched, and in which plane."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin
from UniBiomedSlicerLib.SliceGeometry import axisOfSliceNode, defaultAxis, jumpToSlice, sliceCount
from UniBiomedSlicerLib.VolumeGeometry import shapeOf

from UniBiomedSegmentLib.ChoiceBox import ChoiceBox
from UniBiomedSegmentLib.Choices import AUTO, Method, Scope
from UniBiomedSegmentLib.SliceRange import slicesOf
from UniBiomedSegmentLib.Wording import slicesInWords

_SETTLE_MS = 100


class SliceBox(VTKObservationMixin):
    """Reads and writes ``scope``, ``sliceView``, ``rangeFirst``, ``rangeLast`` and ``method`` of a parameter node.

    ``ui`` has scopeComboBox, viewComboBox, rangeWidget, sliceLabel and methodComboBox. ``onChanged()`` follows when
    what is asked for has changed, also because a slice view was moved.
    """

    def __init__(self, ui: Any, onChanged: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._ui = ui
        self._onChanged = onChanged
        self._parameters: Any = None
        self._filling = False
        self._problem = ""
        self._views = ChoiceBox(ui.viewComboBox, self._onViewChosen)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SETTLE_MS)
        self._timer.connect("timeout()", self.refresh)
        ui.rangeWidget.connect("valuesChanged(double,double)", self._onRange)

    def setParameters(self, parameters: Any) -> None:
        """Follow another parameter node; None: none."""
        self._parameters = parameters
        self.removeObservers()
        if parameters is not None:
            for sliceNode in sliceNodes():
                self.addObserver(sliceNode, vtk.vtkCommand.ModifiedEvent, self._onSliceMoved)
        self.refresh()

    def problem(self) -> str:
        """Why the volume cannot be cut into slices, in one sentence; ""."""
        return self._problem

    def axis(self) -> str | None:
        """The plane for the engine; None: the whole volume as acquired, which the engine finds out itself."""
        if self._parameters is None or (self._parameters.sliceView == AUTO and self._isWhole()):
            return None
        return self._axis()

    def slices(self) -> list[int] | None:
        """The slice numbers for the engine; None: all."""
        parameters, volumeNode = self._parameters, self._volume()
        if volumeNode is None:
            return None
        count = sliceCount(volumeNode, self._axis())
        last = parameters.rangeLast if parameters.rangeLast >= 0 else count - 1
        return slicesOf(parameters.scope, self._current(), parameters.rangeFirst, last, count)

    def keySlice(self) -> int | None:
        """The slice to propagate from, if the user said so."""
        if self._parameters is None or self.method() != "propagate":
            return None
        chosen = self._parameters.method is Method.PROPAGATE_FROM_CURRENT
        return self._current() if chosen and self._volume() is not None else None

    def method(self) -> str:
        """ "slices" or "propagate"; one slice alone has nothing to propagate to."""
        if self._parameters is None or self._parameters.scope is Scope.CURRENT:
            return "slices"
        return "slices" if self._parameters.method is Method.SLICES else "propagate"

    def refresh(self) -> None:
        """Show what the parameter node and the slice views say now."""
        self._timer.stop()
        self._problem = ""
        try:
            self._fill()
        except ValueError as error:  # VolumeError: no rectangular grid
            self._problem = str(error)
            self._ui.sliceLabel.setText("")
        self._onChanged()

    def cleanup(self) -> None:
        """Let go of the scene and the widgets."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self.refresh)
        self.removeObservers()
        self._views.cleanup()
        self._ui.rangeWidget.disconnect("valuesChanged(double,double)", self._onRange)

    def _fill(self) -> None:
        parameters, volumeNode = self._parameters, self._volume()
        enabled = volumeNode is not None
        scope = parameters.scope if parameters is not None else Scope.VOLUME
        self._ui.rangeWidget.setVisible(scope is Scope.RANGE)
        self._ui.rangeWidget.enabled = enabled
        self._ui.methodComboBox.enabled = scope is not Scope.CURRENT
        self._views.setValue(parameters.sliceView if parameters is not None else AUTO)
        self._views.setEntries(self._viewEntries(volumeNode))
        if not enabled:
            self._ui.sliceLabel.setText("")
            return
        axis = self._axis()
        count = sliceCount(volumeNode, axis)
        last = parameters.rangeLast if parameters.rangeLast >= 0 else count - 1
        self._filling = True
        self._ui.rangeWidget.setRange(0, max(count - 1, 1))
        self._ui.rangeWidget.setValues(min(parameters.rangeFirst, count - 1), min(last, count - 1))
        self._filling = False
        self._ui.sliceLabel.setText(self._inWords(scope, axis, count))

    def _inWords(self, scope: Scope, axis: str, count: int) -> str:
        if scope is Scope.CURRENT:
            return _("Slice {number} of 0-{last}, {axis}").format(
                number=self._current(), last=count - 1, axis=_axisInWords(axis)
            )
        slices = self.slices()
        if count == 1:
            return _("The only slice")
        if slices is None:
            return _("All {count} slices, {axis}").format(count=count, axis=_axisInWords(axis))
        return _("Slices {slices} ({count}), {axis}").format(
            slices=slicesInWords(slices), count=len(slices), axis=_axisInWords(axis)
        )

    def _viewEntries(self, volumeNode: Any) -> list[tuple[str, str]]:
        plane = _axisInWords(defaultAxis(volumeNode)) if volumeNode is not None else ""
        entries = [(AUTO, _("As acquired ({axis})").format(axis=plane) if plane else _("As acquired"))]
        for sliceNode in sliceNodes():
            name = sliceNode.GetLayoutName()
            label = name
            if volumeNode is not None:
                label = _("As in {view} ({axis})").format(
                    view=name, axis=_axisInWords(axisOfSliceNode(sliceNode, volumeNode)[0])
                )
            entries.append((name, label))
        return entries

    def _volume(self) -> Any:
        volumeNode = self._parameters.inputVolume if self._parameters is not None else None
        return volumeNode if volumeNode is not None and min(shapeOf(volumeNode)) > 0 else None

    def _isWhole(self) -> bool:
        return self._volume() is None or (self._parameters.scope is not Scope.CURRENT and self.slices() is None)

    def _axis(self) -> str:
        volumeNode, sliceNode = self._volume(), self._chosenNode()
        return defaultAxis(volumeNode) if sliceNode is None else axisOfSliceNode(sliceNode, volumeNode)[0]

    def _chosenNode(self) -> Any:
        wanted = self._parameters.sliceView
        return next((node for node in sliceNodes() if node.GetLayoutName() == wanted), None)

    def _current(self) -> int:
        """The slice that the chosen view shows; as acquired: the first view of that plane, else the middle."""
        volumeNode, axis = self._volume(), self._axis()
        chosen = self._chosenNode()
        for sliceNode in sliceNodes() if chosen is None else [chosen]:
            along, index = axisOfSliceNode(sliceNode, volumeNode)
            if along == axis:
                return index
        return sliceCount(volumeNode, axis) // 2

    def _onViewChosen(self, value: str) -> None:
        if self._parameters is not None:
            self._parameters.sliceView = value

    def _onRange(self, first: float, last: float) -> None:
        parameters, volumeNode = self._parameters, self._volume()
        if self._filling or volumeNode is None:
            return
        axis = self._axis()
        oldFirst, low, high = parameters.rangeFirst, round(first), round(last)
        with slicer.util.NodeModify(parameters):
            parameters.rangeFirst = low
            parameters.rangeLast = high if high < sliceCount(volumeNode, axis) - 1 else -1
        jumpToSlice(volumeNode, axis, low if low != oldFirst else high)

    def _onSliceMoved(self, caller: Any = None, event: Any = None) -> None:
        if not self._timer.active:
            self._timer.start()


def sliceNodes() -> list[Any]:
    """The slice views of the scene that are part of a layout, in their order."""
    return [node for node in slicer.util.getNodesByClass("vtkMRMLSliceNode") if node.GetLayoutName()]


def _axisInWords(axis: str) -> str:
    return {"axial": _("axial"), "coronal": _("coronal"), "sagittal": _("sagittal")}[axis]
