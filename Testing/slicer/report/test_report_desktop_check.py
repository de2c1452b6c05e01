# SPDX-License-Identifier: Apache-2.0
"""The steps that are run in desktop Slicer (Testing/desktop/report_panel.py) hold in the stand-in too."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def test_every_step_of_the_desktop_check_holds(host, engine, tmp_path):
    path = Path(__file__).resolve().parents[2] / "desktop" / "report_panel.py"
    spec = importlib.util.spec_from_file_location("unibiomed_desktop_report", path)
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    widget = host.loadModule("UniBiomedReport")
    names = []
    for name, holds in check.steps(widget, str(tmp_path)):
        try:
            host.spin(until=holds, timeout=10)
        except AssertionError as error:
            raise AssertionError(f"not so: {name}") from error
        names.append(name)
    assert len(names) == 17
