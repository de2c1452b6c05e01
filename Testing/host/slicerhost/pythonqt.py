# SPDX-License-Identifier: Apache-2.0
"""PySide6's classes made to behave as PythonQt's do in Slicer.

Qt properties are attributes (and their getters no calls), signals are connected by their C++ signature, enumerators
compare as integers, an unknown attribute cannot be set, a deleted object is False, and what PythonQt refuses or
silently corrupts is refused.
"""

from __future__ import annotations

import ctypes
import inspect
import sys
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtNetwork, QtPrintSupport, QtSvg, QtUiTools, QtWidgets

from slicerhost import messages, problems

MODULES = (QtCore, QtGui, QtWidgets, QtNetwork, QtPrintSupport, QtSvg, QtUiTools)
# Present in PySide6 and not in Slicer's PythonQt, or replaced.
ABSENT = {"QSignalSpy", "QWebSocket", "QWebEngineView", "QThreadPool", "QRunnable", "Property"}

_connectString = QtCore.QObject.connect
_disconnectString = QtCore.QObject.disconnect
_deleteLaterOfQt = QtCore.QObject.deleteLater
# object.__setattr__ refuses these types once their own is replaced; this is what they use beneath.
_setPlainly = ctypes.pythonapi.PyObject_GenericSetAttr
_setPlainly.argtypes = (ctypes.py_object, ctypes.py_object, ctypes.py_object)
loadingUi: list[bool] = []
_connections: dict[int, list[tuple[str, Any, Any]]] = {}
_emitting: list[int] = []  # addresses of the objects whose slots are running
_dying: list[Any] = []  # of these, those without a parent that were told to go
_heldByQt = 0


class QtProperty:
    """One Qt property as an attribute. On the class itself, the method that it hides (QTimer.singleShot) is found."""

    def __init__(self, name: str, hidden: Any, setter: Any):
        self.name, self.hidden, self.setter = name, hidden, setter

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self if self.hidden is None else self.hidden.__get__(None, owner)
        getter = None if self.hidden is None else self.hidden.__get__(instance, owner)
        if getter is not None:
            try:
                return getter()
            except TypeError:  # a static of the same name
                return instance.property(self.name)
        return instance.property(self.name)

    def __set__(self, instance: Any, value: Any) -> None:
        if self.setter is not None:
            self.setter.__get__(instance, type(instance))(value)
        elif not instance.setProperty(self.name, value):
            raise AttributeError(f"the property '{self.name}' of {type(instance).__name__} cannot be set to {value!r}")


def isNative(cls: type) -> bool:
    """Is this a class that would be C++ in Slicer (PySide's own, or one of the stand-ins)?"""
    return cls.__module__.startswith("PySide6.") or "slicerNative" in cls.__dict__


def accepted(function: Any, arguments: tuple) -> tuple:
    """The arguments cut to what the slot takes, as PythonQt does (defaults are filled by them)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return arguments
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return arguments
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return arguments[: sum(parameter.kind in kinds for parameter in parameters)]


def slot(function: Any, sender: int = 0) -> Callable:
    def call(*arguments):
        _emitting.append(sender)
        try:
            function(*accepted(function, arguments))
        except Exception:  # noqa: BLE001 - as in PythonQt: printed, never propagated; here it also fails the test
            problems.reportException(*sys.exc_info())
        _emitting.pop()
        if _dying and sender not in _emitting:
            _buryThoseOf(sender)

    return call


def _deleteLater(self: Any) -> None:
    _deleteLaterOfQt(self)
    if self.parent() is None and shiboken6.getCppPointer(self)[0] in _emitting:
        _dying.append(self)


def _buryThoseOf(sender: int) -> None:
    """PythonQt deletes an object without a parent with its last Python reference, whatever deleteLater() was told."""
    for index in reversed(range(len(_dying))):
        if shiboken6.getCppPointer(_dying[index])[0] == sender:
            if sys.getrefcount(_dying[index]) <= _heldByQt:
                problems.report(f"{type(_dying[index]).__name__}: PythonQt would delete it within its own signal")
            del _dying[index]


def _countReferencesOfQt() -> int:
    """What sys.getrefcount says of an object that was told to go and that nobody else knows."""
    _dying.append(QtCore.QProcess())
    _deleteLaterOfQt(_dying[-1])
    count = sys.getrefcount(_dying[-1])
    _dying.clear()
    return count


def _alias(sender: Any, signature: str) -> str | None:
    for cls in type(sender).__mro__:
        found = cls.__dict__.get("signalAliases", {}).get(signature)
        if found:
            return found
    return None


def _normalized(signature: str) -> str:
    return QtCore.QMetaObject.normalizedSignature(signature).data().decode()


def connect(sender: Any, signature: str, receiver: Any, method: Any = None) -> bool:
    """`sender.connect("clicked(bool)", function)`; False, and a failed test, for a signal that does not exist."""
    if not isinstance(signature, str):  # PySide's own code comes along here, in QTimer.singleShot
        return _connectString(signature, receiver, method)
    normalized = _normalized(signature)
    alias = _alias(sender, normalized)
    if alias is None and sender.metaObject().indexOfSignal(normalized) < 0:
        problems.report(f"{type(sender).__name__} has no signal {signature!r}: PythonQt's connect returns False")
        return False
    function = receiver if method is None else getattr(receiver, str(method).split("(")[0])
    key = shiboken6.getCppPointer(sender)[0]
    call = slot(function, key)
    if alias is None:
        connection = _connectString(sender, QtCore.SIGNAL(normalized), call)
    else:
        connection = getattr(sender, alias).connect(call)
    if key not in _connections:
        _connections[key] = []
        _connectString(sender, QtCore.SIGNAL("destroyed()"), lambda: _connections.pop(key, None))
    _connections[key].append((normalized, function, connection))
    return True


def disconnect(sender: Any, signature: str | None = None, receiver: Any = None, method: Any = None) -> bool:
    """Undo `connect`; False when there was no such connection."""
    kept, done = [], False
    if signature is not None and not isinstance(signature, str):
        return _disconnectString(signature, receiver, method)
    normalized = None if signature is None else _normalized(signature)
    function = receiver if method is None else getattr(receiver, str(method).split("(")[0])
    key = shiboken6.getCppPointer(sender)[0]
    for entry in _connections.get(key, []):
        if normalized in (None, entry[0]) and (function is None or function == entry[1]):
            _disconnectString(entry[2])
            done = True
        else:
            kept.append(entry)
    if key in _connections:
        _connections[key] = kept
    return done


_OWN = {"connect": connect, "disconnect": disconnect}


def _attributeOf(base: Callable) -> Callable:
    # QObject.connect is both static and not in PySide, which its attribute look-up decides before any patch.
    def getAttribute(self, name):
        if not shiboken6.isValid(self) and not name.startswith("_") and isNative(type(self)):
            raise ValueError(f"Trying to access {name} of a {type(self).__name__} that was deleted")
        own = _OWN.get(name)
        return base(self, name) if own is None else own.__get__(self)

    return getAttribute


def _setAttribute(self: Any, name: str, value: Any) -> None:
    cls = type(self)
    if isNative(cls) and not name.startswith("_"):
        member = inspect.getattr_static(cls, name, None)
        if member is None:
            if loadingUi:  # PySide's QUiLoader gives the top widget an attribute for each child; PythonQt does not
                return
            raise AttributeError(f"{cls.__name__} has no property '{name}'")
        if isinstance(member, QtCore.Property):
            member.fset(self, value)
            return
        # PySide itself keeps a bound signal on its object the first time that it is asked for.
        if not hasattr(type(member), "__set__") and type(value).__name__ != "SignalInstance":
            raise AttributeError(f"'{name}' of {cls.__name__} is no property and cannot be set")
    _setPlainly(self, name, value)


def _adaptProperties(cls: type) -> None:
    meta = cls.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        described = meta.property(index)
        name = described.name()
        hidden = inspect.getattr_static(cls, name, None)
        # By name: isinstance(x, QtCore.Signal) of PySide 6.12 loses a reference to False.
        if type(hidden).__name__ in ("QtProperty", "Signal"):
            hidden = None
        setter = inspect.getattr_static(cls, "set" + name[0].upper() + name[1:], None)
        setattr(cls, name, QtProperty(name, hidden, setter))


def _adaptObjects() -> None:
    for module in MODULES:
        for name in dir(module):
            cls = getattr(module, name)
            if not isinstance(cls, type) or not issubclass(cls, QtCore.QObject):
                continue
            _adaptProperties(cls)
            if "__getattribute__" in cls.__dict__:
                cls.__getattribute__ = _attributeOf(cls.__getattribute__)
            cls.__setattr__ = _setAttribute
    QtCore.QObject.__bool__ = lambda self: shiboken6.isValid(self)
    QtCore.QObject.name = QtProperty("objectName", None, QtCore.QObject.setObjectName)
    QtCore.QObject.className = lambda self: self.metaObject().className()
    QtCore.QObject.delete = lambda self: shiboken6.delete(self)
    QtCore.QObject.deleteLater = _deleteLater


def _refuse(reason: str) -> Callable:
    def refused(self, *arguments):
        raise TypeError(f"PythonQt: {reason}")

    return refused


def _adaptBytes() -> None:
    for name in ("__bytes__", "__len__", "__getitem__"):
        setattr(QtCore.QByteArray, name, _refuse("a QByteArray gives its bytes by .data() and its size by .length()"))
    write = QtCore.QIODevice.write

    def writeData(self, data):
        if isinstance(data, bytearray):
            problems.report("PythonQt would write the repr of this bytearray: give bytes")
            return -1
        return write(self, data.encode() if isinstance(data, str) else data)

    QtCore.QIODevice.write = writeData
    start = QtCore.QProcess.start

    def startProcess(self, program=None, arguments=None, *mode):
        if program is None:
            return start(self)
        wrong = [type(item).__name__ for item in [program, *(arguments or [])] if not isinstance(item, str)]
        if wrong:
            problems.report(f"QProcess.start takes str only; PythonQt mangles {', '.join(wrong)}")
            raise TypeError("QProcess.start takes str only")
        return start(self, program, list(arguments or []), *mode)

    QtCore.QProcess.start = startProcess


def _adaptDialogs() -> None:
    """No dialog is ever shown: it is recorded, and answered as the test said beforehand."""
    for cls in (QtWidgets.QDialog, QtWidgets.QMessageBox, QtWidgets.QFileDialog, QtWidgets.QMenu):
        cls.exec = cls.exec_ = messages.executed
    clicked = QtWidgets.QMessageBox.clickedButton
    QtWidgets.QMessageBox.clickedButton = lambda self: getattr(self, "_clicked", None) or clicked(self)
    # Those with an overload of their own hide that of QDialog.
    for dialog in (QtWidgets.QDialog, QtWidgets.QMessageBox, QtWidgets.QInputDialog):
        dialog.open = messages.opened(dialog.open)
    QtWidgets.QFileDialog.getSaveFileName = staticmethod(messages.fileDialog("save"))
    QtWidgets.QFileDialog.getOpenFileName = staticmethod(messages.fileDialog("open"))
    QtWidgets.QFileDialog.getExistingDirectory = staticmethod(messages.fileDialog("folder"))
    for name in ("question", "information", "warning", "critical"):
        setattr(QtWidgets.QMessageBox, name, staticmethod(messages.asked(name)))
    QtWidgets.QInputDialog.getText = staticmethod(messages.fileDialog("text"))
    QtGui.QDesktopServices.openUrl = staticmethod(messages.openedUrl)


def adapt() -> None:
    global _heldByQt
    if "slicerHostAdapted" not in QtCore.__dict__:
        _heldByQt = _countReferencesOfQt()
        _adaptObjects()
        _adaptBytes()
        _adaptDialogs()
        QtCore.slicerHostAdapted = True


def names() -> dict[str, Any]:
    """What `qt` offers."""
    found: dict[str, Any] = {}
    for module in MODULES:
        found.update({name: getattr(module, name) for name in dir(module) if not name.startswith("_")})
    return {name: value for name, value in found.items() if name not in ABSENT}
