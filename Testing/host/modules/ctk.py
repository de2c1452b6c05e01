# SPDX-License-Identifier: Apache-2.0
"""`import ctk` as in Slicer: the stand-ins of slicerhost.ctkwidgets."""

from slicerhost import ctkwidgets

globals().update({name: value for name, value in vars(ctkwidgets).items() if name.startswith("ctk")})
