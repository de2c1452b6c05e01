# SPDX-License-Identifier: Apache-2.0
"""The module UniBiomed Segment: name what you look for, get segments."""

from typing import Union

import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, vtkMRMLVectorVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from UniBiomedSegmentLib import Results
from UniBiomedSegmentLib.Choices import AUTO, Method, Scope
from UniBiomedSegmentLib.Logic import UniBiomedSegmentLogic
from UniBiomedSegmentLib.SegmentPanel import SegmentPanel
from UniBiomedSlicerLib import SegmentTags as tags


class UniBiomedSegment(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("UniBiomed Segment")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["UniBiomedSlicer"]
        self.parent.contributors = ["UniBiomed for 3D Slicer contributors"]
        self.parent.helpText = _(
            "<p>Segments what you name in words, on one slice, a range of slices or a whole volume.</p>"
            "<ol><li>Choose a volume and type what you look for, for example <i>liver, left kidney</i>; what the "
            "loaded model knows is offered as you type.</li>"
            "<li>Choose the slices, then press <b>Apply</b> (or Return). Masks appear as they come; <b>Cancel</b> "
            "leaves the scene as it was.</li>"
            "<li>Click a row of the table to go to a segment; correct it in the Segment Editor.</li></ol>"
            "<p>The model runs in an engine of its own, set up in the module <b>UniBiomed</b>. Slicer stays usable "
            "while it works.</p><p><b>AI generated, not for clinical use.</b></p>"
        )
        self.parent.acknowledgementText = _(
            "The model is UniBiomed: L. Wu et al., A universal foundation model for grounded biomedical image "
            "interpretation, Nature Communications 2026, arXiv 2504.21336."
        )


@parameterNodeWrapper
class UniBiomedSegmentParameterNode:
    """What the panel is set to; saved with the scene.

    inputVolume - The volume or picture to look in.
    prompt - The targets as they were typed, separated by commas.
    scope - Current slice, range of slices or whole volume.
    sliceView - "auto" (the plane of acquisition) or the slice view whose plane is used.
    rangeFirst, rangeLast - First and last slice of the range; -1: the last one.
    modality, window - A word of the engine's, or "auto".
    method - Slice by slice, or propagated.
    clean - Remove small islands and fill holes.
    replace - Replace earlier results of the same target.
    outputSegmentation - Where the segments are added; None: a new one.
    """

    inputVolume: Union[vtkMRMLScalarVolumeNode, vtkMRMLVectorVolumeNode, None]  # noqa: UP007 (the wrapper's own form)
    prompt: str = ""
    scope: Scope = Scope.VOLUME
    sliceView: str = AUTO
    rangeFirst: int = 0
    rangeLast: int = -1
    modality: str = AUTO
    window: str = AUTO
    method: Method = Method.SLICES
    clean: bool = False
    replace: bool = False
    outputSegmentation: vtkMRMLSegmentationNode


class UniBiomedSegmentWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Ties the panel to the parameter node and to the scene's life."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.panel = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self):
        """Make the panel; nothing is started, asked or written."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/UniBiomedSegment.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = UniBiomedSegmentLogic()
        self.panel = SegmentPanel(self.ui, self.logic)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self):
        """Called when the application closes and when the module is reloaded."""
        self.removeObservers()
        self.setParameterNode(None)
        if self.panel is not None:
            self.panel.cleanup()
            self.logic.cleanup()
            self.panel = self.logic = None

    def enter(self):
        """Called each time the user opens this module."""
        self.initializeParameterNode()

    def exit(self):
        """Called each time the user opens another module; a run goes on."""
        self._disconnectGui()

    def onSceneStartClose(self, caller=None, event=None):
        """The parameter node goes with the scene."""
        self.setParameterNode(None)

    def onSceneEndClose(self, caller=None, event=None):
        """Start anew if the module is shown."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        """Make sure that there is a parameter node, and choose what can be chosen without asking."""
        self.setParameterNode(UniBiomedSegmentParameterNode(self.logic.getParameterNode()))
        if self._parameterNode.inputVolume is None:
            self._parameterNode.inputVolume = self._likelyVolume()

    def setParameterNode(self, parameterNode):
        """Follow another parameter node; None: none."""
        self._disconnectGui()
        self._parameterNode = parameterNode
        if parameterNode is not None:
            # Which widget shows which parameter is said in the .ui file ("SlicerParameterName").
            self._parameterNodeGuiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        if self.panel is not None:
            self.panel.setParameters(parameterNode)

    def _disconnectGui(self):
        if self._parameterNode is not None and self._parameterNodeGuiTag is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self._parameterNodeGuiTag = None
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersModified)

    def _onParametersModified(self, caller=None, event=None):
        self.panel.refresh()

    def _likelyVolume(self):
        """The volume that the slice views show, else the first one."""
        composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
        shownId = composite.GetBackgroundVolumeID() if composite is not None else None
        volumeNodes = [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")  # label maps and others are of it too
            if node.GetClassName() in ("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode")
            and not node.GetHideFromEditors()
        ]
        return next((node for node in volumeNodes if node.GetID() == shownId), volumeNodes[0] if volumeNodes else None)


class UniBiomedSegmentTest(ScriptedLoadableModuleTest):
    """What needs no engine, in desktop Slicer; the behaviour is tested in Testing/slicer/segment."""

    def setUp(self):
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run all of it."""
        for test in (self.test_nothingIsAskedWithoutATarget, self.test_theTableIsReadFromTheSegments):
            self.setUp()
            test()

    def test_nothingIsAskedWithoutATarget(self):
        """One sentence says what is missing, and no engine is started."""
        logic = UniBiomedSegmentLogic()
        volumeNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Volume")
        sentences = []
        for node, targets in ((volumeNode, []), (None, ["liver"])):
            try:
                logic.segment(node, targets)
            except ValueError as error:
                sentences.append(str(error))
        logic.cleanup()
        assert len(sentences) == 2

    def test_theTableIsReadFromTheSegments(self):
        """Figures kept as tags of a segment come back as a row."""
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
        segment = node.GetSegmentation().GetSegment(node.GetSegmentation().AddEmptySegment("liver", "liver"))
        segment.SetTag(tags.PHRASE, "liver in abdomen CT")
        segment.SetTag(tags.VOLUME_ML, "1500.5")
        rows = Results.rowsOf(node)
        assert [(row.name, row.volumeMl) for row in rows] == [("liver", 1500.5)]
