# SPDX-License-Identifier: Apache-2.0
"""The wrapped C++ effects, by the name under which effects import them."""

from slicerhost.scriptedeffect import qSlicerSegmentEditorAbstractEffect, qSlicerSegmentEditorScriptedEffect

__all__ = ["qSlicerSegmentEditorAbstractEffect", "qSlicerSegmentEditorScriptedEffect"]
