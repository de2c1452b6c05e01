# SPDX-License-Identifier: Apache-2.0
"""A stand-in for desktop Slicer: its real MRML and logic libraries (slicer-core) and real Qt (PySide6).

`slicerhost.host` holds what tests use; `modules/` holds what the extension's files import (`qt`, `ctk`, `SampleData` ...).
"""

import os
import sys

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# Qt's enumerations as IntEnum and IntFlag: PySide6 reads this when it is first imported.
sys.pyside6_option_python_enum = 0x3
