# SPDX-License-Identifier: Apache-2.0
"""The files of an interpretation: complete, self-contained, escaped, all or nothing."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import slicerio
from PIL import Image
from unibiomed.errors import InputError, OutputError
from unibiomed.tasks import from_json, interpret
from unibiomed.tasks.outputs import colors, to_segmentation, views, write_outputs
from unibiomed.tasks.outputs.page import pieces, render_page
from unibiomed.tasks.outputs.segmentation import segment_names
from unibiomed.tasks.results import TextSpan
from unibiomed.volumes import Volume


@pytest.fixture
def interpretation(model, volume):
    return interpret(model, volume)


def page_of(interpretation, volume) -> str:
    chosen = views.choose_views(interpretation, volume)
    return render_page(
        interpretation,
        chosen,
        colors.segment_colors(interpretation.segments),
        segment_names(interpretation.segments),
    )


class _Reader(HTMLParser):
    """Text and links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.anchors: list[str] = []
        self.ids: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.scripts += tag == "script"
        self.addresses += [values[name] for name in ("src", "href") if values.get(name)]
        if values.get("id"):
            self.ids.append(values["id"])


def test_four_files_are_written_and_agree(interpretation, volume, tmp_path):
    written = write_outputs(tmp_path / "out", interpretation, volume)
    assert sorted(written) == ["overlay.png", "report.html", "report.json", "segmentation.seg.nrrd"]
    assert all(path.is_file() for path in written.values())
    assert from_json(written["report.json"].read_bytes()) == interpretation
    read = slicerio.read_segmentation(str(written["segmentation.seg.nrrd"]))
    assert [item["name"] for item in read["segments"]] == ["liver", "spleen", "liver tumor 1", "liver tumor 2"]
    picture = np.asarray(Image.open(written["overlay.png"]))
    assert picture.shape[2] == 3
    tumor = colors.segment_colors(interpretation.segments)["s3"]
    assert (picture == tumor).all(axis=2).sum() > 50, "the finding's outline is in its colour"


def test_the_page_needs_no_network(interpretation, volume):
    reader = _Reader()
    page = page_of(interpretation, volume)
    reader.feed(page)
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in reader.addresses)
    assert "default-src 'none'" in page
    assert "http://" not in page
    assert "https://" not in page


def test_every_phrase_leads_to_its_row_and_its_picture(interpretation, volume):
    page = page_of(interpretation, volume)
    reader = _Reader()
    reader.feed(page)
    anchors = {address[1:] for address in reader.addresses if address.startswith("#")}
    assert anchors == {"row-s1", "row-s2", "row-s3", "row-s4"}
    assert anchors <= set(reader.ids)
    for identity in ("s1", "s2", "s3", "s4"):
        assert f'data-segment="{identity}"' in page


def test_the_page_says_what_it_is_and_where_it_comes_from(interpretation, volume):
    page = html.unescape(page_of(interpretation, volume))
    assert "AI generated, not for clinical use" in page
    assert interpretation.provenance.weights_sha256 in page
    assert "A small hypodense tumor is seen in the liver." in page
    assert "<image>Please segment liver in abdomen CT." in page


def test_text_of_a_file_or_model_cannot_become_markup(interpretation, volume):
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    source = replace(interpretation.provenance.source, name=evil)
    spoiled = replace(
        interpretation,
        text=evil,
        spans=(TextSpan(0, len(evil), evil, ("s1",)),),
        provenance=replace(interpretation.provenance, source=source, notes=(evil,), prompts=(evil,)),
        findings=tuple(replace(item, sentence=evil) for item in interpretation.findings),
        slices=tuple(replace(item, text=evil) for item in interpretation.slices),
        site=evil,
    )
    page = page_of(spoiled, volume)
    reader = _Reader()
    reader.feed(page)
    assert reader.scripts == 1
    assert "onerror=alert(1)>" not in re.sub(r"&[a-z#0-9]+;", "", page.replace("&gt;", ""))
    assert "<script>alert" not in page


def test_nothing_found_is_visible_and_still_written(model, healthy, tmp_path):
    result = interpret(model, healthy, anatomy=False)
    written = write_outputs(tmp_path / "out", result, healthy)
    assert "Nothing found" in written["report.html"].read_text(encoding="utf-8")
    assert written["overlay.png"].stat().st_size > 1000
    assert slicerio.read_segmentation(str(written["segmentation.seg.nrrd"]))["segments"] == []


def test_a_folder_with_files_is_refused_and_left_alone(interpretation, volume, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        write_outputs(tmp_path, interpretation, volume)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_earlier_result_is_replaced_only_when_asked(interpretation, volume, tmp_path):
    (tmp_path / "report.json").write_text("old")
    write_outputs(tmp_path, interpretation, volume, replace=True)
    assert from_json((tmp_path / "report.json").read_text(encoding="utf-8")) == interpretation


def test_a_failure_half_way_leaves_nothing_behind(interpretation, volume, tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match="disk is full"):
        write_outputs(tmp_path / "out", interpretation, volume)
    assert list(tmp_path.iterdir()) == []


def test_a_result_of_another_volume_is_refused(interpretation):
    other = Volume.from_array(np.arange(64, dtype=np.uint8).reshape(1, 8, 8), np.eye(4), "CT")
    with pytest.raises(InputError, match="belongs to a volume"):
        to_segmentation(interpretation, other)


def test_segments_have_colours_that_can_be_told_apart(interpretation):
    chosen = list(colors.segment_colors(interpretation.segments).values())
    gaps = [
        sum(abs(a - b) for a, b in zip(one, two, strict=True)) for i, one in enumerate(chosen) for two in chosen[:i]
    ]
    assert min(gaps) >= 70


def test_segments_carry_their_phrase_and_confidence_into_the_file(interpretation, volume):
    made = to_segmentation(interpretation, volume)
    assert made.segments[2].attributes["UniBiomed.Phrase"] == "liver tumor in abdomen CT"
    assert made.attributes["UniBiomed.Notice"] == "AI generated, not for clinical use"


def test_the_views_show_each_segment_near_its_largest_cut(interpretation, volume):
    chosen = views.choose_views(interpretation, volume)
    shown = {identity for view in chosen for identity in view.masks}
    assert shown == {"s1", "s2", "s3", "s4"}
    assert 8 in [view.slice for view in chosen], "the second tumour is on slice 8 only"
    assert len(chosen) == views.FEWEST_VIEWS


def test_text_is_cut_at_its_spans_and_overlapping_ones_are_left_out():
    text = "the liver is fine"
    spans = [TextSpan(4, 9, "liver", ("s1",)), TextSpan(6, 12, "ver is", ("s2",)), TextSpan(13, 99, "x", ("s3",))]
    cut = list(pieces(text, spans))
    assert "".join(piece.text for piece in cut) == text
    assert [piece.segments for piece in cut] == [(), ("s1",), ()]
