# SPDX-License-Identifier: Apache-2.0
"""Slice views drawn by Slicer's own displayable managers, without a screen (EGL with Mesa's software renderer).

    if photograph.isPossible():
        photograph.threeViews(volumeNode, focus=(k, j, i)).save("docs/images/views.png")

``render`` paints the same pictures where there is no EGL.
"""

from __future__ import annotations

import ctypes.util
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import render
import slicer
import vtk
from PIL import Image
from UniBiomedSlicerLib.VolumeGeometry import toNumpy
from vtk.util.numpy_support import vtk_to_numpy

VIEWS = {"axial": "Red", "sagittal": "Yellow", "coronal": "Green"}


def isPossible() -> bool:
    """Whether this machine can draw without a screen."""
    return ctypes.util.find_library("EGL") is not None


class SliceCamera:
    """Draws one slice view: the volume as the slice logic blends it, the segments as the displayable manager does.

    It follows the scene: :meth:`picture` shows what the view shows at that moment. The view is not resized.
    """

    def __init__(self, sliceLogic: Any) -> None:
        # Read by VTK when it makes its first window; without it VTK looks for an X server.
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
        self._logic = sliceLogic
        self._renderer = vtk.vtkRenderer()
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._image = vtk.vtkActor2D()
        self._image.SetMapper(self._mapper)
        self._renderer.AddViewProp(self._image)
        self._managers = slicer.vtkMRMLDisplayableManagerGroup()
        self._managers.SetRenderer(self._renderer)
        manager = slicer.vtkMRMLSegmentationsDisplayableManager2D()
        manager.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self._managers.AddDisplayableManager(manager)
        self._managers.SetMRMLDisplayableNode(sliceLogic.GetSliceNode())

    def picture(self) -> Image.Image:
        """What the view shows now, in the size of its slice node."""
        width, height = self._logic.GetSliceNode().GetDimensions()[:2]
        self._window.SetSize(width, height)
        self._logic.UpdatePipeline()
        connection = self._logic.GetImageDataConnection()
        self._image.SetVisibility(connection is not None)
        if connection is not None:
            self._mapper.SetInputConnection(connection)
        self._window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        columns, rows, _one = image.GetDimensions()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1, :, :3]
        return Image.fromarray(np.ascontiguousarray(pixels))

    def close(self) -> None:
        """Let go of the scene and of the window."""
        self._managers.SetMRMLDisplayableNode(None)
        self._window.Finalize()


def view(
    volumeNode: Any, axis: str, focus: Sequence[float], size: tuple[int, int] = (400, 400), zoom: float = 1.0
) -> Image.Image:
    """The layout's view of ``axis`` through the voxel ``focus`` (k, j, i), with letters and bar; moves that view."""
    logic = slicer.app.layoutManager().sliceWidget(VIEWS[axis]).sliceLogic()
    node = logic.GetSliceNode()
    node.SetOrientation(axis.capitalize())
    node.SetDimensions(*size, 1)
    logic.GetSliceCompositeNode().SetBackgroundVolumeID(volumeNode.GetID())
    logic.FitSliceToAll(*size)
    if zoom != 1.0:
        node.SetFieldOfView(*(value / zoom for value in node.GetFieldOfView()[:2]), node.GetFieldOfView()[2])
    jump = node.JumpSliceByCentering if zoom != 1.0 else node.JumpSliceByOffsetting
    jump(*render.worldOf(volumeNode, focus))
    camera = SliceCamera(logic)
    picture = camera.picture()
    camera.close()
    directions = toNumpy(node.GetSliceToRAS())
    render.decorate(picture, axis, directions[:3, 0], directions[:3, 1], volumeNode.GetName())
    return picture


def threeViews(
    volumeNode: Any,
    segmentationNode: Any = None,
    focus: Sequence[float] | None = None,
    size: tuple[int, int] = (960, 640),
    zoom: float = 1.0,
) -> Image.Image:
    """The axial view large on the left, sagittal and coronal on the right, with everything that the scene shows."""
    place = render.middleOf(segmentationNode, volumeNode) if focus is None else focus
    return render.arrange(lambda axis, part: view(volumeNode, axis, place, part, zoom), size)
