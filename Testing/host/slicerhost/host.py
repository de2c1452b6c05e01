# SPDX-License-Identifier: Apache-2.0
"""What tests use: start the stand-in once, load modules into it, run its event loop, click, type, look."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
MODULES = Path(__file__).resolve().parents[1] / "modules"


def start() -> Host:
    """The one host of this process."""
    import slicer

    found = getattr(slicer, "standInHost", None)
    if found is None:
        found = slicer.standInHost = _install()
    return found


def _install() -> Host:
    if str(MODULES) not in sys.path:
        sys.path.insert(0, str(MODULES))
    import slicer
    from slicer import util

    # slicer-core spreads slicer.util over `slicer` itself, which desktop Slicer does not.
    for name, value in list(vars(util).items()):
        if not name.startswith("_") and vars(slicer).get(name) is value:
            delattr(slicer, name)
    slicer.__path__.append(str(Path(__file__).parent / "additions"))
    slicer.mrmlScene = slicer.vtkMRMLScene()
    slicer.selfTests = {}
    from slicerhost import application, modules, problems

    slicer.app = application.makeApplication()
    _giveCache(slicer, slicer.app.temporaryPath)
    slicer.app.start()
    slicer.modules = modules.make(slicer.app.applicationLogic())
    import slicerhost.segmenteditor  # noqa: F401 - puts its classes into slicer

    problems.install()
    return Host()


def _giveCache(slicer: Any, folder: str) -> None:
    """Scene bundles are unpacked in the cache folder."""
    cache, manager = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(folder)
    cache.SetMRMLScene(slicer.mrmlScene)
    manager.SetCacheManager(cache)
    slicer.mrmlScene.SetCacheManager(cache)
    slicer.mrmlScene.SetDataIOManager(manager)


class Host:
    """See the fixture `host` of Testing/slicer/conftest.py."""

    def __init__(self):
        import slicer

        self.slicer = slicer
        self.app = slicer.app
        self._kept = set(vars(slicer.modules))
        self._editors: list[Any] = []
        # Where module files are looked for; an installed tree is one flat folder.
        self.moduleFolders = [REPOSITORY / name for name in ("UniBiomedSlicer", "UniBiomedSegment", "UniBiomedReport")]
        self.moduleFolders.append(REPOSITORY / "UniBiomedSegment" / "SegmentEditorUniBiomed")
        if os.environ.get("UNIBIOMED_INSTALLED_MODULES"):
            self.moduleFolders = [Path(os.environ["UNIBIOMED_INSTALLED_MODULES"])]

    # Modules

    def useLibrary(self) -> None:
        """Make `import UniBiomedSlicerLib` work, as it does once any module of the extension is found."""
        folders = [folder for folder in self.moduleFolders if (folder / "UniBiomedSlicerLib").is_dir()]
        for folder in folders:
            if str(folder) not in sys.path:
                sys.path.append(str(folder))

    def loadModule(self, name: str, enter: bool = True) -> Any:
        """The module's widget (a ScriptedLoadableModuleWidget), set up and entered; None for a hidden module."""
        from slicerhost import modules

        self.useLibrary()
        module = self.app.moduleManager().module(name)
        if module is None:
            paths = [folder / f"{name}.py" for folder in self.moduleFolders if (folder / f"{name}.py").is_file()]
            if not paths:
                raise FileNotFoundError(f"no {name}.py in {', '.join(map(str, self.moduleFolders))}")
            module = modules.load(paths[0])
            # Slicer emits this once; a handler that was called is gone, so that no module is started twice.
            self.app.startupCompleted.emit()
            self.app.disconnect("startupCompleted()")
        if module.hidden:
            return None
        widget = module.widgetRepresentation()
        if enter:
            self.app.mainWindow().moduleSelector().selectModule(name)
        widget.resize(420, 900)
        widget.show()
        return widget.self()

    def selectModule(self, name: str) -> None:
        self.app.mainWindow().moduleSelector().selectModule(name)

    # Scene

    def newScene(self) -> Any:
        """The scene, closed and empty as after File / Close scene."""
        self.slicer.mrmlScene.Clear(0)
        return self.slicer.mrmlScene

    def addVolume(self, array: Any, ijkToRas: Any = None, name: str = "Volume", className: str | None = None) -> Any:
        """A volume node of `array` [k, j, i] (or [k, j, i, 3]) with the given 4x4 matrix in RAS mm."""
        import numpy as np

        slicer = self.slicer
        kind = className or ("vtkMRMLVectorVolumeNode" if array.ndim == 4 else "vtkMRMLScalarVolumeNode")
        node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
        slicer.util.updateVolumeFromArray(node, array)
        if ijkToRas is not None:
            node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.asarray(ijkToRas, float)))
        node.CreateDefaultDisplayNodes()
        return node

    def showVolume(self, node: Any) -> None:
        """As choosing the volume in the slice views does."""
        self.slicer.util.setSliceViewerLayers(background=node, fit=True)

    def segmentEditor(self, segmentationNode: Any = None, volumeNode: Any = None) -> Any:
        """A segment editor widget as in the Segment Editor module, on these nodes."""
        widget = self.slicer.qMRMLSegmentEditorWidget()
        widget.setMRMLScene(self.slicer.mrmlScene)
        widget.setMaximumNumberOfUndoStates(10)
        widget.setMRMLSegmentEditorNode(self.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
        widget.setSegmentationNode(segmentationNode)
        widget.setSourceVolumeNode(volumeNode)
        self._editors.append(widget)
        return widget

    def sliceNode(self, name: str = "Red") -> Any:
        return self.app.layoutManager().sliceWidget(name).mrmlSliceNode()

    # Events

    def spin(self, until: Callable[[], Any] | None = None, timeout: float = 10.0, seconds: float | None = None) -> None:
        """Run the event loop until a condition holds (else it fails after `timeout`), or for some `seconds`."""
        from PySide6 import QtCore

        loop, timer = QtCore.QEventLoop(), QtCore.QTimer()
        end = time.monotonic() + (timeout if seconds is None else seconds)
        reached = []

        def look() -> None:
            if until is not None and until():
                reached.append(True)
                loop.quit()
            elif time.monotonic() > end:
                loop.quit()

        timer.timeout.connect(look)
        timer.start(5)
        if until is None and seconds is None:
            end = time.monotonic() + 0.03
        loop.exec()
        timer.stop()
        if until is not None and not reached:
            raise AssertionError(f"not reached within {timeout:g} s")

    def waitForChildren(self, timeout: float = 60.0) -> None:
        """Until the processes that were left to the application, to end by themselves, have done so."""
        from PySide6 import QtCore

        def areGone() -> bool:
            return all(one.state() == QtCore.QProcess.NotRunning for one in self.app.findChildren(QtCore.QProcess))

        self.spin(until=areGone, timeout=timeout)

    @contextmanager
    def stallMeter(self) -> Iterator[SimpleNamespace]:
        """`.longest`: seconds of the longest time in which the event loop could not run, over the with block; `.own`:
        the same without the time in which it was ready to run and other programs had the processors."""
        from PySide6 import QtCore

        meter = SimpleNamespace(longest=0.0, own=0.0, all=[])
        last = [time.perf_counter(), _waitedForAProcessor()]
        timer = QtCore.QTimer()
        timer.setTimerType(QtCore.Qt.PreciseTimer)

        def tick() -> None:
            now = [time.perf_counter(), _waitedForAProcessor()]
            gap = now[0] - last[0] - 0.001
            meter.own = max(meter.own, gap - (now[1] - last[1]))
            last[:] = now
            meter.all.append(gap)
            meter.longest = max(meter.longest, gap)

        timer.timeout.connect(tick)
        timer.start(1)
        try:
            yield meter
        finally:
            tick()
            timer.stop()

    # Hands and eyes

    def click(self, widget: Any, position: Any = None) -> None:
        """A mouse click in the widget's middle (a button, a view's viewport) or at a QPoint."""
        from PySide6 import QtCore, QtTest

        if not widget.isEnabled():
            raise AssertionError(f"{widget.objectName or widget} is disabled")
        point = QtCore.QPoint() if position is None else position
        QtTest.QTest.mouseClick(widget, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, point)

    def type(self, widget: Any, text: str) -> None:
        """Keys into a widget; "\\n" is Return, "\\t" is Tab."""
        from PySide6 import QtCore, QtTest

        special = {"\n": QtCore.Qt.Key_Return, "\t": QtCore.Qt.Key_Tab}
        for character in text:
            if character in special:
                QtTest.QTest.keyClick(widget, special[character])
            else:
                QtTest.QTest.keyClicks(widget, character)

    def hover(self, widget: Any, position: Any) -> None:
        from PySide6 import QtCore, QtGui

        global_ = widget.mapToGlobal(position)
        event = QtGui.QMouseEvent(QtCore.QEvent.MouseMove, QtCore.QPointF(position), QtCore.QPointF(global_),
                                  QtCore.Qt.NoButton, QtCore.Qt.NoButton, QtCore.Qt.NoModifier)  # fmt: skip
        QtCore.QCoreApplication.sendEvent(widget, event)

    def choose(self, combo: Any, text: str) -> None:
        """As the user chooses an entry of a (node) combo box."""
        box = getattr(combo, "_box", combo)
        index = box.findText(text)
        if index < 0:
            raise AssertionError(f"no entry {text!r} among {[box.itemText(i) for i in range(box.count)]}")
        box.setCurrentIndex(index)
        box.activated.emit(index)

    def screenshot(self, widget: Any, path: Any, size: tuple[int, int] | None = None) -> Path:
        """A PNG of the widget as it looks now."""
        widget = getattr(widget, "parent", None) if not hasattr(widget, "grab") else widget
        if size is not None:
            widget.resize(*size)
        widget.show()
        self.spin()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not widget.grab().save(str(path)):
            raise OSError(f"cannot write {path}")
        return Path(path)

    # Dialogs and problems

    @property
    def messages(self) -> list[Any]:
        """The dialogs that would have been shown (kind, text, title, buttons ...)."""
        from slicerhost import messages

        return messages.shown

    @property
    def openedUrls(self) -> list[str]:
        from slicerhost import messages

        return messages.urls

    def answer(self, *answers: Any) -> None:
        """Answers of the next dialogs: a button's text, a number, a file name, or a function given the dialog."""
        from slicerhost import messages

        messages.answers.extend(answers)

    def takeProblems(self) -> list[str]:
        """Exceptions swallowed and connections refused so far; a test that expects some takes them."""
        from slicerhost import problems

        return problems.take()

    # From one test to the next

    def reset(self) -> None:
        """Unload the modules, close the scene, forget dialogs; the modules' Python files stay imported."""
        from PySide6 import QtCore

        from slicerhost import messages

        slicer, manager = self.slicer, self.app.moduleManager()
        shown = manager.module(self.app.mainWindow().moduleSelector().selectedModule)
        if shown is not None:
            shown.leave()
        for name in manager.modulesNames():
            manager.moduleAboutToBeUnloaded.emit(name)
            module = manager.module(name)
            if module._widget is not None:
                module._widget.deleteLater()
        manager._modules.clear()
        self.app.mainWindow().moduleSelector()._selected = ""
        service = getattr(slicer.modules, "UniBiomedEngineService", None)
        if service is not None:
            service.cleanup()
            if getattr(service, "pid", 0):
                self.spin(until=lambda: not service.pid, timeout=20)
        for name in set(vars(slicer.modules)) - self._kept:
            delattr(slicer.modules, name)
        self.waitForChildren()
        self.app.disconnect("startupCompleted()")
        self.app.disconnect("aboutToQuit()")
        for editor in self._editors:
            editor.close_()
            editor.deleteLater()
        self._editors.clear()
        slicer.qSlicerSegmentEditorEffectFactory.instance().forget()
        self.newScene()
        self.app.userSettings().clear()
        if self.app._dialog:
            self.app._dialog.deleteLater()
            self.app._dialog = None
        self.spin()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)
        messages.reset()


def _waitedForAProcessor() -> float:
    """Seconds that this thread was ready to run and no processor was free; 0 where the system does not tell."""
    path = Path("/proc/thread-self/schedstat")
    return int(path.read_text().split()[1]) / 1e9 if path.is_file() else 0.0
