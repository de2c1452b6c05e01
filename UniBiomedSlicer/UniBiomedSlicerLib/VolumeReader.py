# SPDX-License-Identifier: Apache-2.0
"""From a volume node to what the engine is sent: the voxels as stored, their place in the world, and their origin."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from UniBiomedSlicerLib.DicomAttributes import instanceUids, sourceUids
from UniBiomedSlicerLib.Modality import PLACED, guessModality, knownModality
from UniBiomedSlicerLib.VolumeGeometry import VolumeError, shapeOf, worldIjkToRas

__all__ = ["VolumeError", "VolumePayload", "guessModality", "identify", "knownModality", "readVolume"]

CHECK_VOXELS = 2**20
"""Voxels looked at in one step of :meth:`VolumePayload.checkSteps`, a few milliseconds."""

_PICTURE_FILES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


@dataclass(eq=False)
class VolumePayload:
    """A volume as the engine takes it.

    ``array`` is C-contiguous, little-endian, [k, j, i] or for colour uint8 [k, j, i, 3]; it shares the memory of the
    volume node wherever no conversion was needed, so it must not be written to, and shows later edits of the node
    (compare ``modifiedTime`` with :func:`identify` before trusting it). ``ijkToRas`` is 4x4 in world RAS, mm.
    ``spatial`` is False for a picture without a place in the patient. ``source`` holds ``series_uid``, ``study_uid``
    and ``frame_of_reference_uid`` where known. ``notes`` are sentences on what was converted.
    """

    array: np.ndarray
    ijkToRas: list[list[float]]
    modality: str | None
    spatial: bool
    name: str
    nodeId: str
    modifiedTime: tuple
    source: dict[str, str] = field(default_factory=dict)
    dicomInstanceUids: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (k, j, i)."""
        return self.array.shape[:3]

    def checkSteps(self) -> Iterator[float]:
        """Look at the voxels step by step, yielding the fraction done; raises VolumeError.

        Refused are NaN and infinity, and an image that is the same value everywhere. Whole numbers are looked at only
        until two of them differ.
        """
        flat = self.array.reshape(-1)
        isFloat = flat.dtype.kind == "f"
        first, differs = flat[0], False
        for start in range(0, flat.size, CHECK_VOXELS):
            part = flat[start : start + CHECK_VOXELS]
            if isFloat and not np.isfinite(part).all():
                raise VolumeError(
                    _(
                        '"{name}" holds voxels that are not a number (NaN or infinite); replace them first, for '
                        'example with "Simple Filters" > "ThresholdImageFilter" or numpy.nan_to_num.'
                    ).format(name=self.name)
                )
            differs = differs or bool((part != first).any())
            if differs and not isFloat:
                return
            yield min(1.0, (start + part.size) / flat.size)
        if not differs:
            raise VolumeError(
                _('"{name}" is the same value everywhere ({value:g}), so there is nothing to see in it.').format(
                    name=self.name, value=float(first)
                )
            )


def readVolume(volumeNode: Any, modality: str | None = None, check: bool = True) -> VolumePayload:
    """Return what the engine needs of a volume node; raises VolumeError, one sentence, where it cannot be used.

    ``modality`` is what the user chose; None takes what the DICOM attributes state, which may be nothing. With
    ``check`` False the voxels themselves are not looked at: run :meth:`VolumePayload.checkSteps` in pieces.
    """
    if volumeNode is None:
        raise VolumeError(_("No volume is chosen; choose the volume to read."))
    name = volumeNode.GetName() or _("The volume")
    _checkKind(volumeNode, name)
    affine = worldIjkToRas(volumeNode)
    notes: list[str] = []
    array = _voxels(volumeNode, name, notes)
    known = knownModality(volumeNode)
    payload = VolumePayload(
        array=array,
        ijkToRas=affine.tolist(),
        modality=modality or known,
        spatial=_isSpatial(volumeNode, affine, known, array.ndim == 4),
        name=name,
        nodeId=volumeNode.GetID() or "",
        modifiedTime=identify(volumeNode),
        source=sourceUids(volumeNode),
        dicomInstanceUids=instanceUids(volumeNode),
        notes=notes,
    )
    if check:
        for _fraction in payload.checkSteps():
            pass
    return payload


def identify(volumeNode: Any) -> tuple:
    """Return what tells one state of a volume from another: its voxels, its geometry and its transform to world.

    Equal as long as none of them was changed; a rename, a window or a selection do not count.
    """
    imageData = volumeNode.GetImageData()
    scalars = imageData.GetPointData().GetScalars() if imageData is not None else None
    voxels = (scalars.GetAddressAsString("vtkObject"), scalars.GetMTime()) if scalars is not None else ()
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    geometry = tuple(matrix.GetElement(row, column) for row in range(3) for column in range(4))
    extent = tuple(imageData.GetExtent()) if imageData is not None else ()
    return volumeNode.GetID(), voxels, extent, geometry, _identifyTransform(volumeNode)


def _identifyTransform(volumeNode: Any) -> tuple:
    transform = volumeNode.GetParentTransformNode()
    if transform is None:
        return ()
    if not transform.IsTransformToWorldLinear():
        return "non-linear", transform.GetID(), transform.GetTransformToWorldMTime()
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return tuple(matrix.GetElement(row, column) for row in range(3) for column in range(4))


def _checkKind(volumeNode: Any, name: str) -> None:
    if not volumeNode.IsA("vtkMRMLVolumeNode"):
        raise VolumeError(_('"{name}" is not a volume; choose an image volume.').format(name=name))
    if volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        raise VolumeError(
            _('"{name}" is a label map, not an image; choose the image that the labels belong to.').format(name=name)
        )
    if volumeNode.IsA("vtkMRMLDiffusionTensorVolumeNode"):
        raise VolumeError(
            _('"{name}" holds diffusion tensors; compute a scalar volume (such as FA) and choose that.').format(
                name=name
            )
        )
    if volumeNode.IsA("vtkMRMLVectorVolumeNode") and volumeNode.GetVoxelVectorType() in (
        slicer.vtkMRMLVolumeNode.VoxelVectorTypeSpatial,
        slicer.vtkMRMLVolumeNode.VoxelVectorTypeSpatialCovariant,
    ):
        raise VolumeError(_('"{name}" holds vectors in space, not colours; choose an image.').format(name=name))


def _voxels(volumeNode: Any, name: str, notes: list[str]) -> np.ndarray:
    shape = shapeOf(volumeNode)
    imageData = volumeNode.GetImageData()
    scalars = imageData.GetPointData().GetScalars() if imageData is not None else None
    if scalars is None or min(shape) < 1 or scalars.GetNumberOfTuples() != shape[0] * shape[1] * shape[2]:
        raise VolumeError(_('"{name}" has no voxels; load an image into it first.').format(name=name))
    if sum(size >= 2 for size in shape) < 2:
        raise VolumeError(
            _('"{name}" is only {i} x {j} x {k} voxels: there is no image in it to look at.').format(
                name=name, i=shape[2], j=shape[1], k=shape[0]
            )
        )
    flat = _asNumpy(scalars)
    components = scalars.GetNumberOfComponents()
    if components in (3, 4):
        return _colour(flat.reshape(*shape, components), name, notes)
    if components != 1:
        raise VolumeError(
            _(
                '"{name}" has {count} values in each voxel (several images in one); take one of them out, for example '
                'with "Vector to Scalar Volume" or as a sequence, and choose that.'
            ).format(name=name, count=components)
        )
    return _plainType(flat.reshape(shape))


def _asNumpy(scalars: Any) -> np.ndarray:
    """The values as numpy, in place where VTK keeps them in one ordinary block."""
    if scalars.GetDataType() == vtk.VTK_BIT or not scalars.HasStandardMemoryLayout():
        plain = vtk.vtkUnsignedCharArray()
        if scalars.GetDataType() != vtk.VTK_BIT:
            plain = vtk.vtkDataArray.CreateDataArray(scalars.GetDataType())
        plain.DeepCopy(scalars)
        scalars = plain
    return vtk_to_numpy(scalars)


def _plainType(array: np.ndarray) -> np.ndarray:
    """C-contiguous and little-endian; 64-bit whole numbers become 32-bit where they fit, real numbers otherwise."""
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        low, high = int(array.min()), int(array.max())
        fits = next((kind for kind in (np.int32, np.uint32) if _holds(kind, low, high)), np.float64)
        array = array.astype(fits)
    if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big"):
        array = array.astype(array.dtype.newbyteorder("<"))
    return np.ascontiguousarray(array)


def _holds(kind: type, low: int, high: int) -> bool:
    limits = np.iinfo(kind)
    return limits.min <= low and high <= limits.max


def _colour(array: np.ndarray, name: str, notes: list[str]) -> np.ndarray:
    """RGB as uint8; transparent pixels turn black, 16-bit colours lose their low byte."""
    if array.dtype == np.uint16 and int(array.max()) > 255:
        array = (array >> 8).astype(np.uint8)
        notes.append(_('The 16-bit colours of "{name}" were reduced to 8 bits.').format(name=name))
    elif array.dtype != np.uint8:
        whole = array.dtype.kind in "iu" and int(array.min()) >= 0 and int(array.max()) <= 255
        if not whole:
            raise VolumeError(
                _(
                    '"{name}" has {count} values of type {kind} in each voxel; only 8-bit or 16-bit colour can be '
                    "read, so convert it to one of these or to a scalar volume first."
                ).format(name=name, count=array.shape[3], kind=array.dtype)
            )
        array = array.astype(np.uint8)
    if array.shape[3] == 4:
        alpha = array[..., 3:].astype(np.uint16)
        array = ((array[..., :3] * alpha + 127) // 255).astype(np.uint8)
    return np.ascontiguousarray(array)


def _isSpatial(volumeNode: Any, affine: np.ndarray, modality: str | None, colour: bool) -> bool:
    """Whether sizes and sides mean something. Pictures lie as Slicer puts them: columns to Left, rows to Posterior."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(affine[:3, :3] / spacing, np.diag([-1.0, -1.0, 1.0]), atol=1e-3):
        return True
    storage = volumeNode.GetStorageNode()
    file = ((storage.GetFileName() if storage is not None else "") or "").lower()
    if file.endswith(_PICTURE_FILES):
        return False
    if modality is not None:
        return modality.partition("-")[0] in PLACED
    isSingle = shapeOf(volumeNode)[0] == 1
    return not (isSingle or colour) or not np.allclose(spacing, 1.0)
