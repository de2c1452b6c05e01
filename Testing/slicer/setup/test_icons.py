# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from slicerhost.host import REPOSITORY

ICONS = (
    "UniBiomedSlicer/Resources/Icons/UniBiomedSlicer",
    "UniBiomedSegment/Resources/Icons/UniBiomedSegment",
    "UniBiomedReport/Resources/Icons/UniBiomedReport",
    "UniBiomedSegment/SegmentEditorUniBiomed/Resources/Icons/SegmentEditorUniBiomed",
)


@pytest.mark.parametrize("name", ICONS)
def test_the_png_of_an_icon_is_its_svg_at_128_pixels(host, name, tmp_path):
    from PySide6.QtGui import QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    drawn = QImage(128, 128, QImage.Format_ARGB32_Premultiplied)
    drawn.fill(0)
    painter = QPainter(drawn)
    QSvgRenderer(str(REPOSITORY / f"{name}.svg")).render(painter)
    painter.end()
    drawn.convertToFormat(QImage.Format_ARGB32).save(str(tmp_path / "drawn.png"))
    with Image.open(REPOSITORY / f"{name}.png") as shipped, Image.open(tmp_path / "drawn.png") as again:
        assert shipped.size == (128, 128)
        pictures = [np.asarray(picture.convert("RGBA"), float) for picture in (shipped, again)]
    assert pictures[0][..., 3].min() == 0, "the corners are transparent"
    assert np.abs(pictures[0] - pictures[1]).mean() < 2
