# SPDX-License-Identifier: Apache-2.0
"""What Slicer knows of a volume's DICOM origin: from its node, the subject hierarchy and the DICOM database."""

from __future__ import annotations

from typing import Any

import slicer

INSTANCE_UIDS = "DICOM.instanceUIDs"
MODALITY = "0008,0060"
SERIES_DESCRIPTION = "0008,103E"
PROTOCOL_NAME = "0018,1030"
CONTRAST_AGENT = "0018,0010"
FRAME_OF_REFERENCE = "0020,0052"
STUDY = "0020,000D"
SERIES = "0020,000E"

# Where the subject hierarchy keeps the same facts, as attributes of the series item.
_ATTRIBUTES = {MODALITY: "DICOM.Modality"}
_UID_LEVELS = {STUDY: "Study", SERIES: "Series"}


def instanceUids(volumeNode: Any) -> list[str]:
    """Return the SOP instance UIDs that the volume was loaded from, in Slicer's order; [] when it was not DICOM."""
    return (volumeNode.GetAttribute(INSTANCE_UIDS) or "").split()


def dicomValue(volumeNode: Any, tag: str) -> str:
    """Return the value of ``tag`` ("gggg,eeee") for the volume, "" where nothing is known of it."""
    name = _ATTRIBUTES.get(tag)
    value = ""
    if name is not None:
        value = volumeNode.GetAttribute(name) or _itemAttribute(volumeNode, name)
    elif tag in _UID_LEVELS:
        value = _itemUid(volumeNode, _UID_LEVELS[tag])
    return (value or _databaseValue(volumeNode, tag)).strip()


def sourceUids(volumeNode: Any) -> dict[str, str]:
    """Return the ``series_uid``, ``study_uid`` and ``frame_of_reference_uid`` that are known, without empty ones."""
    known = {
        "series_uid": dicomValue(volumeNode, SERIES),
        "study_uid": dicomValue(volumeNode, STUDY),
        "frame_of_reference_uid": dicomValue(volumeNode, FRAME_OF_REFERENCE),
    }
    return {key: value for key, value in known.items() if value}


def _databaseValue(volumeNode: Any, tag: str) -> str:
    database = getattr(slicer, "dicomDatabase", None)
    uids = instanceUids(volumeNode)
    if not database or not database.isOpen or not uids:
        return ""
    return str(database.instanceValue(uids[0], tag) or "")


def _hierarchy(volumeNode: Any) -> tuple[Any, int]:
    scene = volumeNode.GetScene()
    node = scene.GetSubjectHierarchyNode() if scene is not None else None
    return node, node.GetItemByDataNode(volumeNode) if node is not None else 0


def _itemAttribute(volumeNode: Any, name: str) -> str:
    hierarchy, item = _hierarchy(volumeNode)
    return hierarchy.GetItemAttribute(item, name) or "" if item else ""


def _itemUid(volumeNode: Any, level: str) -> str:
    hierarchy, item = _hierarchy(volumeNode)
    if not item:
        return ""
    # The volume's own item is the series; what lies around it is the study.
    holder = item if level == "Series" else hierarchy.GetItemAncestorAtLevel(item, level)
    return hierarchy.GetItemUID(holder, "DICOM") or "" if holder else ""
