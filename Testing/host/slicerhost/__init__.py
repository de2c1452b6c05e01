# SPDX-License-Identifier: Apache-2.0
"""A stand-in for desktop Slicer: its real MRML and logic libraries (slicer-core) and real Qt (PySide6).

`slicerhost.host` holds what tests use; `modules/` holds what the extension's files import (`qt`, `ctk` ...).
"""

import ctypes
import os
import sys

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Qt's enumerations as IntEnum and IntFlag: PySide6 reads this when it is first imported.
sys.pyside6_option_python_enum = 0x3

if sys.version_info < (3, 12):
    # PySide 6.12 loses a reference to these now and then, which ends in an abort; from 3.12 on they are immortal.
    for _constant in (None, True, False):
        ctypes.c_ssize_t.from_address(id(_constant)).value += 1 << 40
