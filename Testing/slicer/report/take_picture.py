# SPDX-License-Identifier: Apache-2.0
"""Takes docs/images/report.png: the module's real panel after the real engine read the head MRI of the samples.

python Testing/slicer/report/take_picture.py [file]
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PANEL = (440, 760)


def main(path: Path) -> None:
    """Read the phantom, select the finding, write the picture."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ["UNIBIOMED_INTERPRETER"] = sys.executable
    sys.path.insert(0, str(ROOT / "Testing" / "host"))
    from slicerhost.host import start

    host = start()
    host.useLibrary()
    import render
    import slicer
    from UniBiomedSlicerLib.EngineService import engineService

    sample = files("unibiomed") / "samples" / "mr_brain_tumour" / "brain1_image.nrrd"
    node = slicer.util.loadVolume(str(sample), properties={"name": "MRBrainTumor"})
    node.CreateDefaultDisplayNodes()
    host.showVolume(node)
    widget = host.loadModule("UniBiomedReport")
    host.click(widget.ui.volumeRadio)
    host.click(widget.ui.interpretButton)
    host.spin(until=lambda: widget._task is None, timeout=400)
    report = widget.reportPanel
    document = report._document()
    print(document["text"])
    segmentation = report._segmentationNode()
    figures = widget.logic.figures(report.node)
    findings = [one for one, known in figures.items() if known.get("kind") == "abnormality"]
    chosen = findings[:1] or report.table._ids[:1]
    report.table.select(chosen)
    report.view.mark(chosen)
    report.segmentChosen.emit(segmentation, chosen[0])
    display = segmentation.GetDisplayNode()
    for one in report.table._ids:
        display.SetSegmentVisibility(one, True)
    with tempfile.TemporaryDirectory() as folder:
        panel = host.screenshot(widget.parent, Path(folder) / "panel.png", PANEL)
        from UniBiomedReportLib.SegmentVoxels import boxOf, largestSlice

        focus = largestSlice(boxOf(segmentation, chosen[0], node), 0)[1]
        views = render.threeViews(node, segmentation, focus, (PANEL[1] * 4 // 3, PANEL[1]), highlight=chosen)
        path.parent.mkdir(parents=True, exist_ok=True)
        render.window(panel, views).quantize(256).save(path, optimize=True)
    engineService().cleanup()
    host.spin(seconds=0.5)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "report.png")
