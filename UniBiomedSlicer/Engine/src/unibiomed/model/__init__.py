# SPDX-License-Identifier: Apache-2.0
"""The model: loading, prediction, and the network itself. Names are imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unibiomed.model.api import UniBiomed
    from unibiomed.model.cache import FeatureCache
    from unibiomed.model.checkpoint import load_model, save_model
    from unibiomed.model.configuration import UniBiomedConfig
    from unibiomed.model.info import ModelInfo
    from unibiomed.model.loading import find_model, load
    from unibiomed.model.modeling import UniBiomedModel
    from unibiomed.model.prediction import Prediction, Span

_HOME = {
    "FeatureCache": "cache",
    "ModelInfo": "info",
    "Prediction": "prediction",
    "Span": "prediction",
    "UniBiomed": "api",
    "UniBiomedConfig": "configuration",
    "UniBiomedModel": "modeling",
    "find_model": "loading",
    "load": "loading",
    "load_model": "checkpoint",
    "save_model": "checkpoint",
}
__all__ = [
    "FeatureCache",
    "ModelInfo",
    "Prediction",
    "Span",
    "UniBiomed",
    "UniBiomedConfig",
    "UniBiomedModel",
    "find_model",
    "load",
    "load_model",
    "save_model",
]


def __getattr__(name: str) -> Any:
    """Import the module of a public name when it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
