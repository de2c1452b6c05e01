# SPDX-License-Identifier: Apache-2.0
"""Hidden module that registers the Segment Editor effect UniBiomed."""

from pathlib import Path

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest


class SegmentEditorUniBiomed(ScriptedLoadableModule):
    """What Slicer keeps of the module; it has no panel of its own."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("SegmentEditorUniBiomed")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "UniBiomedSegment"]
        self.parent.contributors = ["The UniBiomed extension's contributors"]
        self.parent.hidden = True
        self.parent.helpText = _("This hidden module registers the Segment Editor effect UniBiomed.")
        self.parent.acknowledgementText = _(
            "The model is UniBiomed: L. Wu et al., A universal foundation model for grounded biomedical image "
            "interpretation, Nature Communications 2026, arXiv 2504.21336."
        )
        slicer.app.connect("startupCompleted()", self.registerEditorEffect)

    def registerEditorEffect(self):
        """Called once all modules are known, so that the libraries of the other modules are found."""
        import qSlicerSegmentationsEditorEffectsPythonQt as effects

        # First as a package: setPythonSource would otherwise run the file as a plain module of that name, in which
        # relative imports fail.
        import SegmentEditorUniBiomedLib

        source = Path(SegmentEditorUniBiomedLib.__file__).with_name("SegmentEditorEffect.py")
        effect = effects.qSlicerSegmentEditorScriptedEffect(None)
        effect.setPythonSource(source.as_posix())
        effect.self().register()


class SegmentEditorUniBiomedTest(ScriptedLoadableModuleTest):
    """A smoke test for desktop Slicer; the behaviour is tested in Testing/slicer/effect."""

    def setUp(self):
        slicer.mrmlScene.Clear(0)

    def test_effectIsRegistered(self):
        """The Segment Editor offers the effect."""
        editor = slicer.qMRMLSegmentEditorWidget()
        editor.setMRMLScene(slicer.mrmlScene)
        assert editor.effectByName("UniBiomed") is not None
