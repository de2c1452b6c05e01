# SPDX-License-Identifier: Apache-2.0
"""HTML as a PDF, A4, page by page, with the notice at the foot of every page."""

from __future__ import annotations

from collections.abc import Iterator

import qt
from slicer.i18n import tr as _

DPI = 150
_MARGIN_MM = 16
_FOOT_MM = 8
_MM = 25.4


def pdfSteps(path: str, html: str, title: str) -> Iterator[None]:
    """Write ``path`` in steps of one page; OSError where the file cannot be opened or written."""
    writer = qt.QPdfWriter(path)
    writer.setResolution(DPI)
    # One call of the base class: QPdfWriter's own setPageSize hides another in Qt 5.
    page = qt.QPageLayout(qt.QPageSize(qt.QPageSize.A4), qt.QPageLayout.Portrait, qt.QMarginsF(0, 0, 0, 0))
    writer.setPageLayout(page)
    writer.setTitle(title)
    writer.setCreator("UniBiomed for 3D Slicer")
    painter = qt.QPainter()
    if not painter.begin(writer):
        raise OSError(f"{path} cannot be opened for writing")
    try:
        margin, foot = _MARGIN_MM * DPI / _MM, _FOOT_MM * DPI / _MM
        width, height = 210 * DPI / _MM - 2 * margin, 297 * DPI / _MM - 2 * margin - foot
        document = qt.QTextDocument()
        # Sizes in points and pixels mean the same on paper as on the screen.
        document.documentLayout().setPaintDevice(writer)
        font = qt.QFont()
        font.setPointSize(10)
        document.setDefaultFont(font)
        document.setDocumentMargin(0)
        document.setHtml(html)
        document.setPageSize(qt.QSizeF(width, height))
        yield
        pages = document.pageCount()
        for number in range(pages):
            if number:
                writer.newPage()
            painter.save()
            painter.translate(margin, margin - number * height)
            document.drawContents(painter, qt.QRectF(0, number * height, width, height))
            painter.restore()
            said = _("AI generated, not for clinical use. Page {number} of {count}").format(
                number=number + 1, count=pages
            )
            painter.setFont(font)
            painter.drawText(qt.QRectF(margin, margin + height, width, foot), int(qt.Qt.AlignBottom), said)
            yield
    finally:
        painter.end()
