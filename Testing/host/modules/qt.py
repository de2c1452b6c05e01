# SPDX-License-Identifier: Apache-2.0
"""`import qt` as in Slicer: PySide6 with PythonQt's ways."""

from slicerhost import pythonqt
from slicerhost.uiloader import QUiLoader as _QUiLoader

pythonqt.adapt()
globals().update(pythonqt.names())
QUiLoader = _QUiLoader
