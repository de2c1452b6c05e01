# SPDX-License-Identifier: Apache-2.0
"""QUiLoader that knows the ctk and qMRML stand-ins, as Slicer's Designer plug-ins make it know the real ones."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

from slicerhost import problems, pythonqt


class QUiLoader(QtUiTools.QUiLoader):
    def createWidget(self, className: str, parent: Any = None, name: str = "") -> Any:
        cls = _standIn(className)
        if cls is None:
            if className.startswith(("ctk", "qMRML", "qSlicer")):
                problems.report(f"the .ui file uses {className}, which the stand-in does not have")
            return super().createWidget(className, parent, name)
        widget = cls(parent)
        widget.setObjectName(name)
        return widget

    def load(self, file: Any, parent: Any = None) -> Any:
        tree = ElementTree.fromstring(file.readAll().data())
        scene = _takeSceneConnections(tree)
        buffer = QtCore.QBuffer()
        buffer.setData(QtCore.QByteArray(ElementTree.tostring(tree)))
        buffer.open(QtCore.QIODevice.ReadOnly)
        pythonqt.loadingUi.append(True)
        try:
            widget = super().load(buffer, parent)
        finally:
            pythonqt.loadingUi.pop()
        for sender, receiver in scene:
            _connectScene(widget, sender, receiver)
        return widget


def _standIn(className: str) -> type | None:
    from slicerhost import ctkwidgets, mrmlwidgets, segmenteditor

    for module in (ctkwidgets, mrmlwidgets, segmenteditor):
        if className in vars(module):
            return vars(module)[className]
    return None


def _takeSceneConnections(tree: ElementTree.Element) -> list[tuple[str, str]]:
    """`mrmlSceneChanged` → `setMRMLScene`: its argument is no Qt type here, so that it is connected by hand."""
    taken = []
    connections = tree.find("connections")
    for connection in [] if connections is None else list(connections):
        parts = {part: connection.findtext(part) for part in ("sender", "signal", "receiver", "slot")}
        if parts["signal"] == "mrmlSceneChanged(vtkMRMLScene*)":
            if parts["slot"] != "setMRMLScene(vtkMRMLScene*)":
                problems.report(f"mrmlSceneChanged connected to {parts['slot']}")
            taken.append((parts["sender"], parts["receiver"]))
            connections.remove(connection)
    return taken


def _connectScene(top: Any, sender: str, receiver: str) -> None:
    def named(name: str) -> Any:
        return top if top.objectName == name else top.findChild(QtWidgets.QWidget, name)

    source, target = named(sender), named(receiver)
    if source is None or target is None or not hasattr(target, "setMRMLScene"):
        problems.report(f"the .ui file connects the scene of {sender} to {receiver}, which cannot be")
        return
    source.mrmlSceneChanged.connect(target.setMRMLScene)
