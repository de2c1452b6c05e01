# SPDX-License-Identifier: Apache-2.0
"""`slicer.parameterNodeWrapper`: typed fields over a parameter node, bound to widgets.

Made anew, small, after Slicer's documented behaviour; what Slicer refuses (an unknown type, an unbounded slider, a
widget of another kind) is refused here. Fields: str, bool, int, float, Path, Enum, FloatRange, nodes,
lists, Union of nodes.
"""

from .annotations import (
    Choice,
    Decimals,
    Default,
    FloatRange,
    Maximum,
    Minimum,
    NotNone,
    RangeBounds,
    SingleStep,
    Validator,
    WithinRange,
)
from .wrapper import SlicerParameterNamePropertyName, isParameterNodeWrapper, parameterNodeWrapper

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "FloatRange",
    "Maximum",
    "Minimum",
    "NotNone",
    "RangeBounds",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "Validator",
    "WithinRange",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
]
