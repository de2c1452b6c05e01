# SPDX-License-Identifier: Apache-2.0
"""Draw each module's icon at 128 pixels from its SVG: ``python Testing/slicer/setup/render_icons.py``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ICONS = (
    "UniBiomedSlicer/Resources/Icons/UniBiomedSlicer.svg",
    "UniBiomedSegment/Resources/Icons/UniBiomedSegment.svg",
    "UniBiomedReport/Resources/Icons/UniBiomedReport.svg",
    "UniBiomedSegment/SegmentEditorUniBiomed/Resources/Icons/SegmentEditorUniBiomed.svg",
)
SIZE = 128


def render(svg: Path, png: Path, size: int = SIZE) -> None:
    """Draw ``svg`` into ``png`` (size x size, transparent ground). A QGuiApplication must exist."""
    from PySide6.QtGui import QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    image = QImage(size, size, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(0)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    QSvgRenderer(str(svg)).render(painter)
    painter.end()
    if not image.convertToFormat(QImage.Format.Format_ARGB32).save(str(png)):
        raise OSError(f"{png} could not be written.")


def main() -> int:
    """Draw them all."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtGui import QGuiApplication

    application = QGuiApplication(sys.argv)
    for name in ICONS:
        render(ROOT / name, (ROOT / name).with_suffix(".png"))
    del application
    return 0


if __name__ == "__main__":
    sys.exit(main())
