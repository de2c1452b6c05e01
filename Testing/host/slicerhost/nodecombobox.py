# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: N801 - the names are those of the C++ classes
"""qMRMLNodeComboBox: a drop-down list of the scene's nodes."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6 import QtCore, QtWidgets

from slicerhost import pythonqt

pythonqt.adapt()

Property, Signal = QtCore.Property, QtCore.Signal


class SceneObserver:
    """Calls back when nodes come, go, are renamed or the scene is closed; forgotten with its widget."""

    def __init__(self, widget: Any, update: Any):
        self._widget, self._update, self._scene, self._tags = widget, update, None, []
        widget.destroyed.connect(lambda *arguments: self.observe(None))

    def observe(self, scene: Any) -> None:
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        if scene is None:
            return
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndBatchProcessEvent):
            self._tags.append(scene.AddObserver(event, self._called))

    def _called(self, caller: Any, event: str) -> None:
        if self._widget:
            self._update()


def _flag(name: str) -> Any:
    def put(self: Any, value: bool) -> None:
        self._flags[name] = bool(value)
        self._update()

    return Property(bool, lambda self: self._flags[name], put)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """A combo box over the nodes of some classes."""

    slicerNative = True
    currentNodeChanged = Signal(object)
    _currentNodeChangedBool = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeActivated = Signal(object)
    signalAliases = {  # noqa: RUF012
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "_currentNodeChangedBool",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated",
    }

    def __init__(self, parent: Any = None):
        super().__init__(parent)
        self._scene: Any = None
        self._types: list[str] = []
        self._flags = {"addEnabled": True, "removeEnabled": True, "renameEnabled": False, "editEnabled": False,
                       "noneEnabled": False, "showHidden": False, "showChildNodeTypes": True,
                       "selectNodeUponCreation": True}  # fmt: skip
        self._texts = {"noneDisplay": "None", "baseName": ""}
        self._attributes: list[tuple[str, str, str | None]] = []
        self._id, self._updating = "", False
        self._box = QtWidgets.QComboBox()
        self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.activated.connect(self._activated)
        self._observer = SceneObserver(self, self._update)
        self._nodeTags: dict[str, tuple[Any, int]] = {}

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene
        self._observer.observe(scene)
        self._update()

    def nodes(self) -> list[Any]:
        found: list[Any] = []
        for nodeType in self._types if self._scene is not None else []:
            for index in range(self._scene.GetNumberOfNodesByClass(nodeType)):
                node = self._scene.GetNthNodeByClass(index, nodeType)
                if node not in found and self._suits(node, nodeType):
                    found.append(node)
        return found

    def _suits(self, node: Any, nodeType: str) -> bool:
        if node.GetHideFromEditors() and not self._flags["showHidden"]:
            return False
        if not self._flags["showChildNodeTypes"] and node.GetClassName() not in self._types:
            return False
        for wantedType, name, value in self._attributes:
            found = node.GetAttribute(name)
            if wantedType == nodeType and (found is None or value not in (None, found)):
                return False
        return True

    def _update(self) -> None:
        if self._updating:
            return
        self._updating = True
        nodes = self.nodes()
        ids = [node.GetID() for node in nodes]
        for gone in set(self._nodeTags) - set(ids):
            node, tag = self._nodeTags.pop(gone)
            node.RemoveObserver(tag)
        for node in nodes:
            if node.GetID() not in self._nodeTags:
                tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: self._renamed())
                self._nodeTags[node.GetID()] = (node, tag)
        current = self._id
        if current not in ids:
            # As the real one: without "None" there is always a node selected if there is any.
            current = "" if self._flags["noneEnabled"] or not ids else ids[0]
        self._box.clear()
        if self._flags["noneEnabled"] or not ids:
            self._box.addItem(self._texts["noneDisplay"] if self._flags["noneEnabled"] else "", "")
        for node in nodes:
            self._box.addItem(node.GetName(), node.GetID())
        if self._flags["addEnabled"]:
            self._box.addItem("Create new " + (self._texts["baseName"] or "node"), "add")
        self._updating = False
        self._select(current)

    def _renamed(self) -> None:
        if self and not self._updating:
            for index in range(self._box.count):
                node = self._scene.GetNodeByID(self._box.itemData(index) or "") if self._scene else None
                if node is not None and node.GetName() != self._box.itemText(index):
                    self._box.setItemText(index, node.GetName())

    def _select(self, nodeId: str) -> None:
        self._box.setCurrentIndex(max(0, self._box.findData(nodeId)))
        if nodeId == self._id:
            return
        self._id = nodeId
        node = self.currentNode()
        self.currentNodeChanged.emit(node)
        self._currentNodeChangedBool.emit(node is not None)
        self.currentNodeIDChanged.emit(nodeId)

    def _activated(self, index: int) -> None:
        data = self._box.itemData(index)
        if data == "add":
            node = self.addNode()
            self.nodeAddedByUser.emit(node)
            return
        self._select(data or "")
        self.nodeActivated.emit(self.currentNode())

    def addNode(self, nodeType: str | None = None) -> Any:
        name = self._scene.GenerateUniqueName(self._texts["baseName"] or "Node")
        node = self._scene.AddNewNodeByClass(nodeType or self._types[0], name)
        for wantedType, key, value in self._attributes:
            if wantedType == node.GetClassName():
                node.SetAttribute(key, value or "")
        self._update()
        if self._flags["selectNodeUponCreation"]:
            self._select(node.GetID())
        self.nodeAdded.emit(node)
        return node

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._id) if self._scene is not None and self._id else None

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentNodeID("" if node is None else node.GetID())

    def setCurrentNodeID(self, nodeId: str | None) -> None:
        known = {node.GetID() for node in self.nodes()}
        wanted = nodeId or ""
        if wanted and wanted not in known:
            wanted = ""
        if not wanted and not self._flags["noneEnabled"] and known:
            return
        self._select(wanted)

    def setCurrentNodeIndex(self, index: int) -> None:
        self.setCurrentNode(self.nodes()[index])

    def nodeCount(self) -> int:
        return len(self.nodes())

    def nodeFromIndex(self, index: int) -> Any:
        return self.nodes()[index]

    def addAttribute(self, nodeType: str, name: str, value: str | None = None) -> None:
        self._attributes.append((nodeType, name, value))
        self._update()

    def setNodeTypes(self, types: Any) -> None:
        self._types = [types] if isinstance(types, str) else list(types)
        self._update()

    def _setText(self, name: str, value: str) -> None:
        self._texts[name] = value
        self._update()

    nodeTypes = Property("QStringList", lambda self: self._types, setNodeTypes)
    noneDisplay = Property(
        str, lambda self: self._texts["noneDisplay"], lambda self, value: self._setText("noneDisplay", value)
    )
    baseName = Property(str, lambda self: self._texts["baseName"], lambda self, value: self._setText("baseName", value))
    currentNodeID = Property(str, lambda self: self._id, setCurrentNodeID)
    addEnabled = _flag("addEnabled")
    removeEnabled = _flag("removeEnabled")
    renameEnabled = _flag("renameEnabled")
    editEnabled = _flag("editEnabled")
    noneEnabled = _flag("noneEnabled")
    showHidden = _flag("showHidden")
    showChildNodeTypes = _flag("showChildNodeTypes")
    selectNodeUponCreation = _flag("selectNodeUponCreation")
