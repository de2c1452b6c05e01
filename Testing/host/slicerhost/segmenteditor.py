# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N801 - the names are those of the C++ classes
"""qMRMLSegmentEditorWidget: selectors, segments, effects, masking and undo, over Slicer's real segment editor logic."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from slicerhost import mrmlwidgets, pythonqt, scriptedeffect

pythonqt.adapt()

Signal = QtCore.Signal
MASK_MODES = (("Everywhere", "EditAllowedEverywhere"), ("Inside all segments", "EditAllowedInsideAllSegments"),
              ("Inside all visible segments", "EditAllowedInsideVisibleSegments"),
              ("Outside all segments", "EditAllowedOutsideAllSegments"),
              ("Outside all visible segments", "EditAllowedOutsideVisibleSegments"))  # fmt: skip
OVERWRITE_MODES = (("Overwrite all", "OverwriteAllSegments"), ("Overwrite visible", "OverwriteVisibleSegments"),
                   ("Allow overlap", "OverwriteNone"))  # fmt: skip


class qMRMLSegmentEditorWidget(mrmlwidgets.qMRMLWidget):
    slicerNative = True
    currentSegmentIDChanged = Signal(str)
    segmentationNodeChanged = Signal(object)
    sourceVolumeNodeChanged = Signal(object)
    signalAliases = {  # noqa: RUF012
        "segmentationNodeChanged(vtkMRMLSegmentationNode*)": "segmentationNodeChanged",
        "sourceVolumeNodeChanged(vtkMRMLVolumeNode*)": "sourceVolumeNodeChanged",
    }

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self._node: Any = None
        self._effects: list[Any] = []
        self._activeEffect: Any = None
        self._observed: list[tuple[Any, int]] = []
        self._segments: Any = None
        self._volume: Any = None
        self._lastSegment, self._updating = "", False
        self._build()
        self.updateEffectList()
        self._logic.AddObserver(self._logic.SegmentationHistoryChangedEvent, lambda *arguments: self._updateUndo())

    # Parts

    def _build(self) -> None:
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        form = QtWidgets.QFormLayout()
        layout.addLayout(form)
        self._segmentationBox = self._selector(["vtkMRMLSegmentationNode"], self._onSegmentationChosen)
        self._volumeBox = self._selector(
            ["vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode"], self.setSourceVolumeNode
        )
        form.addRow("Segmentation:", self._segmentationBox)
        form.addRow("Source volume:", self._volumeBox)
        buttons = QtWidgets.QHBoxLayout()
        layout.addLayout(buttons)
        self._buttons = {}
        for name, action in (("Add", self._add), ("Remove", self._remove), ("Undo", self.undo), ("Redo", self.redo)):
            self._buttons[name] = QtWidgets.QPushButton(name)
            self._buttons[name].clicked.connect(lambda *arguments, action=action: action())
            buttons.addWidget(self._buttons[name])
        self._table = mrmlwidgets.qMRMLSegmentsTableView()
        self._table.selectionChanged.connect(self._onSelection)
        self._table.setMaximumHeight(140)
        layout.addWidget(self._table)
        self._effectsBox = QtWidgets.QGroupBox("Effects")
        QtWidgets.QHBoxLayout(self._effectsBox)
        self._none = self._effectButton("None", None)
        layout.addWidget(self._effectsBox)
        self._optionsBox = QtWidgets.QGroupBox("")
        options = QtWidgets.QVBoxLayout(self._optionsBox)
        self._help = QtWidgets.QLabel()
        self._help.setWordWrap(True)
        options.addWidget(self._help)
        layout.addWidget(self._optionsBox)
        self._maskingBox = QtWidgets.QGroupBox("Masking")
        masking = QtWidgets.QFormLayout(self._maskingBox)
        self._maskMode, self._overwrite = QtWidgets.QComboBox(), QtWidgets.QComboBox()
        for combo, modes in ((self._maskMode, MASK_MODES), (self._overwrite, OVERWRITE_MODES)):
            for text, _ in modes:
                combo.addItem(text)
        self._maskMode.activated.connect(lambda index: self._choose("SetMaskMode", MASK_MODES[index][1]))
        self._overwrite.activated.connect(lambda index: self._choose("SetOverwriteMode", OVERWRITE_MODES[index][1]))
        masking.addRow("Editable area:", self._maskMode)
        masking.addRow("Modify other segments:", self._overwrite)
        layout.addWidget(self._maskingBox)
        layout.addStretch(1)
        self._optionsBox.hide()
        self._maskingBox.hide()

    def _selector(self, types: list[str], action: Any) -> Any:
        box = mrmlwidgets.qMRMLNodeComboBox()
        box.setNodeTypes(types)
        box.noneEnabled, box.addEnabled = True, False
        box.currentNodeChanged.connect(lambda node: None if self._updating else action(node))
        return box

    def _effectButton(self, text: str, effect: Any) -> Any:
        button = QtWidgets.QToolButton()
        button.setText(text)
        button.setCheckable(True)
        button.setToolButtonStyle(QtCore.Qt.ToolButtonTextUnderIcon)
        button.setIconSize(QtCore.QSize(28, 28))
        if effect is not None:
            button.setIcon(effect.icon())
        button.clicked.connect(lambda *arguments: self.setActiveEffect(effect))
        self._effectsBox.layout().addWidget(button)
        return button

    def _choose(self, setter: str, mode: str) -> None:
        holder = slicer.vtkMRMLSegmentationNode if setter == "SetMaskMode" else slicer.vtkMRMLSegmentEditorNode
        getattr(self._node, setter)(getattr(holder, mode))

    # Effects

    def updateEffectList(self) -> None:
        known = {effect.name for effect in self._effects}
        for registered in scriptedeffect.qSlicerSegmentEditorEffectFactory.instance().registeredEffects():
            if registered.name in known:
                continue
            effect = registered.clone()
            effect.attach(self, self._logic)
            effect.call("setupOptionsFrame")
            effect.optionsFrame().setVisible(False)
            self._optionsBox.layout().addWidget(effect.optionsFrame())
            effect._button = self._effectButton(effect.title or effect.name, effect)
            self._effects.append(effect)
            if self._node is not None:
                effect.setParameterSetNode(self._node)
                effect.call("setMRMLDefaults")

    def availableEffectNames(self) -> list[str]:
        return [effect.name for effect in self._effects]

    def effectByName(self, name: str) -> Any:
        return next((effect for effect in self._effects if effect.name == name), None)

    def activeEffect(self) -> Any:
        return self._activeEffect

    def setActiveEffect(self, effect: Any) -> None:
        if self._node is not None:
            self._node.SetActiveEffectName("" if effect is None else effect.name)

    def setActiveEffectByName(self, name: str) -> None:
        self.setActiveEffect(self.effectByName(name))

    # Nodes

    def setMRMLScene(self, scene: Any) -> None:
        super().setMRMLScene(scene)
        self._logic.SetMRMLScene(scene)
        self._updating = True
        for part in (self._segmentationBox, self._volumeBox, self._table):
            part.setMRMLScene(scene)
        self._updating = False
        scene.AddObserver(scene.EndCloseEvent, lambda *arguments: self and self._initializeNode())

    def mrmlSegmentEditorNode(self) -> Any:
        return self._node

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed = []
        self._node = node
        self._logic.SetSegmentEditorNode(node)
        if node is None:
            return
        event = slicer.vtkMRMLSegmentEditorNode.EffectParameterModified
        self._observed.append((node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onModified)))
        self._observed.append((node, node.AddObserver(event, self._onParameter)))
        self._initializeNode()

    def _initializeNode(self) -> None:
        if self._node is None:
            return
        with slicer.util.NodeModify(self._node):
            for effect in self._effects:
                effect.setParameterSetNode(self._node)
                effect.call("setMRMLDefaults")
        self.updateWidgetFromMRML()

    def _onModified(self, caller: Any, event: str) -> None:
        if self:
            self.updateWidgetFromMRML()

    def _onParameter(self, caller: Any, event: str) -> None:
        for effect in self._effects if self else []:
            effect.updateGUIFromMRML()

    def segmentationNode(self) -> Any:
        return self._logic.GetSegmentationNode()

    def sourceVolumeNode(self) -> Any:
        return self._node.GetSourceVolumeNode() if self._node is not None else None

    def _onSegmentationChosen(self, node: Any) -> None:
        self.setSegmentationNode(node)

    def setSegmentationNode(self, node: Any) -> None:
        if self._logic.GetSegmentationNode() is node:
            return
        self._logic.SetSegmentationNode(node)
        self.setActiveEffect(None)

    def setSourceVolumeNode(self, node: Any) -> None:
        self._logic.SetSourceVolumeNode(node)

    def currentSegmentID(self) -> str:
        return self._node.GetSelectedSegmentID() or ""

    def setCurrentSegmentID(self, segmentId: str) -> None:
        self._node.SetSelectedSegmentID(segmentId)

    def _onSelection(self) -> None:
        chosen = self._table.selectedSegmentIDs()
        if not self._updating and self._node is not None and chosen and chosen[0] != self.currentSegmentID():
            self.setCurrentSegmentID(chosen[0])

    def _add(self) -> None:
        self._logic.AddEmptySegment()

    def _remove(self) -> None:
        self._logic.RemoveSelectedSegment()

    # Undo

    def undo(self) -> None:
        self._logic.Undo()

    def redo(self) -> None:
        self._logic.Redo()

    def setMaximumNumberOfUndoStates(self, count: int) -> None:
        self._logic.SetMaximumNumberOfUndoStates(count)

    def _updateUndo(self) -> None:
        if self:
            self._buttons["Undo"].setEnabled(self._logic.CanUndo())
            self._buttons["Redo"].setEnabled(self._logic.CanRedo())

    # Following the parameter node

    def updateWidgetFromMRML(self) -> None:
        scene = self.mrmlScene()
        if scene is None or self._node is None or scene.IsClosing() or scene.IsBatchProcessing() or self._updating:
            return
        self._updating = True
        node = self._node.GetSegmentationNode()
        self._segmentationBox.setCurrentNode(node)
        self._volumeBox.setCurrentNode(self._node.GetSourceVolumeNode())
        if self._table.segmentationNode() is not node:
            self._table.setSegmentationNode(node)
        self._table.setSelectedSegmentIDs([self.currentSegmentID()])
        self._maskMode.setCurrentIndex(self._indexOf(MASK_MODES, slicer.vtkMRMLSegmentationNode, "GetMaskMode"))
        self._overwrite.setCurrentIndex(
            self._indexOf(OVERWRITE_MODES, slicer.vtkMRMLSegmentEditorNode, "GetOverwriteMode")
        )
        self._updating = False
        volume = self._node.GetSourceVolumeNode()
        if volume is not self._volume:
            self._volume = volume
            for effect in self._effects:
                effect.call("sourceVolumeNodeChanged")
        self._updateEffects(node)
        self._updateUndo()
        if self._lastSegment != self.currentSegmentID():
            self._lastSegment = self.currentSegmentID()
            self.currentSegmentIDChanged.emit(self._lastSegment)

    def _indexOf(self, modes: Any, holder: Any, getter: str) -> int:
        value = getattr(self._node, getter)()
        return next((index for index, (_, name) in enumerate(modes) if getattr(holder, name) == value), 0)

    def _updateEffects(self, node: Any) -> None:
        enabled = self._node.GetSourceVolumeNode() is not None and node is not None
        self._effectsBox.setEnabled(enabled)
        self._optionsBox.setEnabled(enabled)
        has = node is not None and node.GetSegmentation().GetNumberOfSegments() > 0
        for effect in self._effects:
            selected = has and bool(self.currentSegmentID())
            effect._button.setEnabled(not effect.requireSegments or (has and (selected or not effect.perSegment)))
        wanted = self.effectByName(self._node.GetActiveEffectName() or "")
        if wanted is self._activeEffect:
            return
        if self._activeEffect is not None:
            self._activeEffect.deactivate()
        if wanted is not None and not self._logic.SetSourceRepresentationToBinaryLabelMap():
            wanted = None
        self._activeEffect = wanted
        if wanted is not None:
            wanted.activate()
            self._optionsBox.setTitle(wanted.title)
            self._help.setText(wanted.helpText())
        self._optionsBox.setVisible(wanted is not None)
        self._maskingBox.setVisible(wanted is not None)
        self._none.setChecked(wanted is None)
        for effect in self._effects:
            effect._button.setChecked(effect is wanted)

    def close_(self) -> None:
        """For the host: what deleting the widget does in Slicer."""
        for effect in self._effects:
            effect.call("cleanup")
        self.setMRMLSegmentEditorNode(None)


for _class in (
    qMRMLSegmentEditorWidget,
    scriptedeffect.qSlicerSegmentEditorAbstractEffect,
    scriptedeffect.qSlicerSegmentEditorScriptedEffect,
    scriptedeffect.qSlicerSegmentEditorEffectFactory,
):
    setattr(slicer, _class.__name__, _class)
