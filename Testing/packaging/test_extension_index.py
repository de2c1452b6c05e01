# SPDX-License-Identifier: Apache-2.0
"""The entry for Slicer's Extensions Index and the extension's own metadata, as the index checks them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA = REPOSITORY / "Testing/data/slicer_schemas/slicer-extension-catalog-entry-schema-v1.0.1.json"
ENTRY = REPOSITORY / "UniBiomed.json"
RAW = "https://raw.githubusercontent.com/UniBiomed/SlicerUniBiomed/main/"


@pytest.fixture(scope="module")
def metadata() -> dict[str, str]:
    text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
    return dict(re.findall(r'set\(EXTENSION_(\w+) "([^"]*)"\)', text))


def test_the_entry_satisfies_slicers_schema():
    entry = json.loads(ENTRY.read_text(encoding="utf-8"))
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft7Validator({**schema, "$schema": "http://json-schema.org/draft-07/schema#"}).validate(entry)
    assert entry["$schema"] == schema["$id"]


def test_the_entry_has_unix_line_ends():
    assert b"\r" not in ENTRY.read_bytes()


def test_names_agree():
    entry = json.loads(ENTRY.read_text(encoding="utf-8"))
    text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
    assert f"project({ENTRY.stem})" in text
    assert not ENTRY.stem.startswith("Slicer")
    assert entry["scm_url"].rsplit("/", 1)[1] == "Slicer" + ENTRY.stem
    assert entry["category"] == "Segmentation"


def test_the_icon_is_a_128_pixel_png_of_this_repository(metadata):
    icon = REPOSITORY / metadata["ICONURL"].removeprefix(RAW)
    with Image.open(icon) as picture:
        assert picture.format == "PNG"
        assert picture.size == (128, 128)


def test_the_screenshots_are_pictures_of_this_repository(metadata):
    urls = metadata["SCREENSHOTURLS"].split()
    assert urls
    for url in urls:
        with Image.open(REPOSITORY / url.removeprefix(RAW)) as picture:
            assert picture.format in ("PNG", "JPEG")


def test_no_build_dependency_is_declared(metadata):
    assert metadata["DEPENDS"] == "NA"
    assert json.loads(ENTRY.read_text(encoding="utf-8"))["build_dependencies"] == []


def test_the_checkout_stays_below_a_hundred_megabytes():
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True, text=True
    ).stdout.split("\0")
    paths = [REPOSITORY / name for name in names if name]
    assert sum(path.stat().st_size for path in paths if path.is_file()) < 100e6


def test_the_licence_is_in_the_root_and_named_on_the_front_page():
    assert "Apache License" in (REPOSITORY / "LICENSE.txt").read_text(encoding="utf-8")
    assert "Apache" in (REPOSITORY / "README.md").read_text(encoding="utf-8")
