# SPDX-License-Identifier: Apache-2.0
"""`slicer.app`: the application object, with the managers that the modules ask it for."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from slicerhost import iomanager, layout, pythonqt

pythonqt.adapt()

Property, Signal = QtCore.Property, QtCore.Signal


class SettingsDialog(QtWidgets.QDialog):
    """Pages by title; each gets the user settings, as in Slicer."""

    slicerNative = True

    def __init__(self):
        super().__init__()
        self._tabs = QtWidgets.QTabWidget()
        QtWidgets.QVBoxLayout(self).addWidget(self._tabs)

    def addPanel(self, title: str, panel: Any) -> None:
        panel.setSettings(slicer.app.userSettings())
        self._tabs.addTab(panel, title)

    def panels(self) -> dict[str, Any]:
        """For tests: the pages by title."""
        return {self._tabs.tabText(index): self._tabs.widget(index) for index in range(self._tabs.count)}


class ModuleManager(QtCore.QObject):
    slicerNative = True
    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self):
        super().__init__()
        self._modules: dict[str, Any] = {}

    def add(self, module: Any) -> None:
        self._modules[module.name] = module

    def module(self, name: str) -> Any:
        return self._modules.get(name)

    def modulesNames(self) -> list[str]:
        return list(self._modules)


class ModuleSelector(QtWidgets.QWidget):
    slicerNative = True
    moduleSelected = Signal(str)

    def __init__(self, parent: Any):
        super().__init__(parent)
        self._selected = ""

    def _getSelected(self) -> str:
        return self._selected

    def selectModule(self, name: str) -> None:
        """Leaves the module that is shown and enters the other one, in which a widget is made if it has none."""
        manager = slicer.app.moduleManager()
        module = manager.module(name)
        if module is None:
            raise RuntimeError(f"there is no module named {name}")
        if self._selected == name:
            return
        before = manager.module(self._selected)
        if before is not None:
            before.leave()
        self._selected = name
        module.enter()
        self.moduleSelected.emit(name)

    selectedModule = Property(str, _getSelected)


class MainWindow(QtWidgets.QMainWindow):
    slicerNative = True

    def __init__(self):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self._selector = ModuleSelector(self)
        self.setCentralWidget(QtWidgets.QWidget())

    def moduleSelector(self) -> ModuleSelector:
        return self._selector


class Application(QtWidgets.QApplication):
    slicerNative = True
    startupCompleted = Signal()
    mrmlSceneChanged = Signal(object)
    signalAliases = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}  # noqa: RUF012

    def __init__(self, folder: Path):
        super().__init__(["Slicer"])
        self._folder = folder
        self.setApplicationName("Slicer")
        self.setOrganizationName("slicer.org")
        self.setStyle("Fusion")
        # Style and font as on an ordinary Linux desktop, whatever the machine: pictures are compared by eye.
        font = QtGui.QFont("DejaVu Sans")
        font.setPointSize(9)
        self.setFont(font)
        self.setQuitOnLastWindowClosed(False)
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, str(folder / "settings"))
        self._temporary = str(folder / "temporary")
        Path(self._temporary).mkdir(parents=True, exist_ok=True)
        self._logic: Any = None
        self._manager: Any = None
        self._window: Any = None
        self._dialog: Any = None
        self._layout: Any = None
        self._io: Any = None
        self._settings: Any = None

    def start(self) -> None:
        """What can only be made once there is an application."""
        self._logic = slicer.vtkSlicerApplicationLogic()
        self._logic.SetMRMLScene(slicer.mrmlScene)
        self._logic.SetTemporaryPath(self._temporary)
        self._manager = ModuleManager()
        self._window = MainWindow()
        self._layout = layout.LayoutManager(slicer.mrmlScene, self._logic)
        self._io = iomanager.IOManager()

    def applicationLogic(self) -> Any:
        return self._logic

    def mrmlScene(self) -> Any:
        return slicer.mrmlScene

    def moduleManager(self) -> ModuleManager:
        return self._manager

    def layoutManager(self) -> Any:
        return self._layout

    def coreIOManager(self) -> Any:
        return self._io

    def ioManager(self) -> Any:
        return self._io

    def mainWindow(self) -> MainWindow:
        return self._window

    def settingsDialog(self) -> SettingsDialog:
        if not self._dialog:
            self._dialog = SettingsDialog()
        return self._dialog

    def userSettings(self) -> QtCore.QSettings:
        if not self._settings:
            self._settings = QtCore.QSettings()
        return self._settings

    settings = userSettings
    revisionUserSettings = userSettings

    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        """Slicer's launcher hides what it has set; here PYTHONPATH stays hidden, which the tests add themselves."""
        environment = QtCore.QProcessEnvironment.systemEnvironment()
        environment.remove("PYTHONPATH")
        return environment

    def testingEnabled(self) -> bool:
        return False

    def translate(self, context: str, text: str) -> str:
        return text

    def pauseRender(self) -> None:
        self._paused = getattr(self, "_paused", 0) + 1

    def resumeRender(self) -> None:
        self._paused = getattr(self, "_paused", 0) - 1

    def restart(self) -> None:
        raise AssertionError("slicer.app.restart() was called")

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"https://slicer.readthedocs.io/en/latest/user_guide/modules/{name.lower()}.html"

    def setTemporaryPath(self, path: str) -> None:
        self._temporary = path

    temporaryPath = Property(str, lambda self: self._temporary, setTemporaryPath)
    slicerHome = Property(str, lambda self: str(self._folder))
    slicerUserSettingsFilePath = Property(str, lambda self: self.userSettings().fileName())
    extensionsInstallPath = Property(str, lambda self: str(self._folder / "extensions"))
    defaultScenePath = Property(str, lambda self: str(self._folder))
    documentationBaseUrl = Property(str, lambda self: "https://slicer.readthedocs.io/en/latest/")
    majorVersion = Property(int, lambda self: 5)
    minorVersion = Property(int, lambda self: 10)
    repositoryRevision = Property(str, lambda self: "33733")
    revision = Property(str, lambda self: "33733")
    os = Property(str, lambda self: "linux" if os.name == "posix" else "win")
    arch = Property(str, lambda self: "amd64")


def makeApplication() -> Application:
    return Application(Path(tempfile.mkdtemp(prefix="slicerhost-")))
