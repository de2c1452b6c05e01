# SPDX-License-Identifier: Apache-2.0
"""Reading a volume without being asked: what it is, what it shows, what is wrong, every phrase with its segment."""

from __future__ import annotations

import numpy as np
import pytest
from unibiomed.errors import Cancelled
from unibiomed.tasks import interpret
from unibiomed.tasks.answers import parse_caption
from unibiomed.tasks.catalogue import Target, catalogue_of
from unibiomed.tasks.detections import named_target
from unibiomed.tasks.frames import Frames
from unibiomed.tasks.progress import Run
from unibiomed.tasks.refine import refine
from unibiomed.tasks.survey import _windows, complete
from unibiomed.volumes import Volume


def test_a_volume_is_read_end_to_end(model, volume, truth):
    result = interpret(model, volume)
    assert (result.modality, result.site, result.nothing_found) == ("CT", "abdomen", False)
    by_target: dict[str, np.ndarray] = {}
    for item in result.segments:
        mask = item.mask.to_full(volume.shape)
        by_target[item.target] = by_target.get(item.target, np.zeros(volume.shape, dtype=bool)) | mask
    assert {name: int((by_target[name] ^ truth[name]).sum()) for name in truth} == dict.fromkeys(truth, 0)
    assert [(item.id, item.slices, item.sentence) for item in result.findings] == [
        ("f1", (3, 4, 5), "a small hypodense tumor is seen in the liver."),
        ("f2", (8,), "a small hypodense tumor is seen in the liver."),
    ]
    assert result.findings[0].volume_ml == pytest.approx(75 * 12 / 1000)


def test_every_phrase_of_the_report_names_its_segments(model, volume):
    result = interpret(model, volume)
    ids = {item.id for item in result.segments}
    assert {identity for span in result.spans for identity in span.segments} == ids
    for span in result.spans:
        assert result.text[span.start : span.end] == span.text
    assert result.text.startswith("CT image of the abdomen, 12 axial slices, 12 read. It shows the liver (42.2 ml) and")


def test_nothing_found_is_said_and_anatomy_still_shown(model, healthy):
    result = interpret(model, healthy)
    assert result.nothing_found
    assert "Nothing found: no abnormality in the 12 slices read." in result.text
    assert {item.target for item in result.segments} == {"liver", "spleen"}


def test_anatomy_can_be_left_out(model, volume):
    assert {item.target for item in interpret(model, volume, anatomy=False).segments} == {"liver tumor"}


def test_a_picture_goes_the_same_way(model):
    picture = np.full((40, 40, 3), 20, dtype=np.uint8)
    picture[8:30, 8:30] = 100
    picture[10:16, 10:16] = 180
    result = interpret(model, Volume.from_array(picture))
    assert result.modality == "CT"
    assert result.findings[0].volume_ml is None
    assert "slice" not in result.text
    assert any("read from the picture" in note for note in result.provenance.notes)


def test_a_finding_that_is_not_confirmed_by_name_does_not_count(fakes, volume):
    class Fickle(fakes.FakeModel):
        def _answer(self, image, text):
            if "Please segment liver tumor" in text:
                return fakes.make_prediction("It is [SEG].<|end|>", [np.zeros(image.shape[:2], dtype=bool)])
            return super()._answer(image, text)

    result = interpret(Fickle(), volume)
    assert result.nothing_found
    assert result.not_found[0].reason.startswith("Named when slices 3–5, 8 were read, but not confirmed")


@pytest.fixture
def mute(fakes):
    """A model with a fitted gate that names nothing, and draws what it is asked for by name."""

    class Mute(fakes.FakeModel):
        def _answer(self, image, text):
            if "Please segment" in text or "Please describe" in text:
                return super()._answer(image, text)
            return fakes.make_prediction("It is [SEG]. no findings in abdomen CT.", [np.zeros(image.shape[:2], bool)])

    return Mute


def test_an_abnormality_that_is_not_named_is_found_by_its_name(mute, volume):
    result = interpret(mute(presence={"fitted": {"all": {}}}), volume)
    assert [(item.target, item.slices) for item in result.findings] == [("liver tumor", (3, 4, 5))]
    assert result.not_found == (), "what lies on one slice of a volume only, and was never named, is not claimed"


def test_a_model_whose_gate_was_not_fitted_is_not_asked_by_name(mute, volume):
    assert interpret(mute(), volume).nothing_found


def test_an_unnamed_abnormality_of_a_picture_needs_no_second_slice(mute):
    picture = np.full((40, 40, 3), 20, dtype=np.uint8)
    picture[8:30, 8:30] = 100
    picture[10:16, 10:16] = 180
    result = interpret(mute(presence={"fitted": {"all": {}}}), Volume.from_array(picture))
    assert [item.target for item in result.findings] == ["liver tumor"]


def test_a_finding_of_hardly_any_confidence_is_not_reported_but_said(fakes, volume):
    class Doubtful(fakes.FakeModel):
        def _answer(self, image, text):
            made = super()._answer(image, text)
            if "Please segment liver tumor" in text:
                made.object_scores[:] = -3.0
            return made

    result = interpret(Doubtful(presence={"object_score": -4.0}), volume)
    assert result.nothing_found
    assert {item.target for item in result.segments} == {"liver", "spleen"}
    assert result.not_found[0].reason.startswith("Seen on slices 3–5, 8, confidence 0.04 at most")


def test_a_modality_of_the_file_stands_against_the_model(model, volume):
    other = Volume.from_array(np.asarray(volume.array), volume.ijk_to_ras, modality="ultrasound")
    result = interpret(model, other, anatomy=False)
    assert result.modality == "ultrasound"
    assert any("took the picture for CT" in note for note in result.provenance.notes)


def test_a_site_that_the_modality_is_not_read_at_is_not_believed(model, volume):
    head = Volume.from_array(np.asarray(volume.array), volume.ijk_to_ras, modality="MRI-T1")
    assert interpret(model, head, anatomy=False).site == "head", "the only site of the model's MRI targets"


def test_a_large_volume_is_sampled_then_followed_to_the_ends(model):
    array = np.full((400, 16, 16), 20, dtype=np.uint8)
    array[100:160, 2:14, 2:14] = 100
    array[120:140, 4:8, 4:8] = 180
    volume = Volume.from_array(array, np.eye(4), modality="CT")
    result = interpret(model, volume, axis="axial")
    assert [(item.target, item.slices) for item in result.findings] == [("liver tumor", tuple(range(120, 140)))]
    assert next(item for item in result.segments if item.target == "liver").slices == tuple(range(100, 160))
    asked = sum(text.startswith("<image>Please segment liver tumor") for _, _, texts in model.calls for text in texts)
    assert 20 <= asked < 60, "not every slice is asked"
    assert any("64 of 400 slices were read" in note for note in result.provenance.notes)


def test_refining_goes_on_while_the_target_goes_on(model):
    array = np.full((60, 16, 16), 20, dtype=np.uint8)
    array[5:55, 4:8, 4:8] = 60
    volume = Volume.from_array(array, np.eye(4), modality="CT")
    target = Target("spleen", "abdomen", "CT", "anatomy")
    tracks = refine(model, Frames.of(volume, axis="axial"), {target: [30]}, range(60), 3, Run())
    assert tracks[target].stack.indices == tuple(range(5, 55))
    evidence = [item.slice for item in tracks[target].evidence]
    assert evidence == sorted(set(evidence)), "no slice is asked twice"


def test_a_ct_of_two_sites_is_read_in_the_window_of_each(fakes):
    """Above a HU volume the lungs are seen in the lung window only: the part knows its window."""
    hounsfield = np.full((16, 24, 24), -1000.0, dtype=np.float32)
    hounsfield[:8, 6:18, 6:18] = 40.0
    hounsfield[8:, 6:18, 6:18] = -600.0
    hounsfield += np.random.default_rng(1).normal(0, 1, hounsfield.shape).astype(np.float32)
    targets = (
        {"name": "liver", "site": "abdomen", "modality": "CT", "kind": "anatomy"},
        {"name": "left lung", "site": "chest", "modality": "CT", "kind": "anatomy"},
    )

    class TwoSites(fakes.FakeModel):
        """In the middle of the picture: mid-grey = the site whose window it is."""

        def _answer(self, image, text):
            middle = int(image[image.shape[0] // 2, image.shape[1] // 2, 0])
            mid_grey = 100 < middle < 160
            name = "liver" if mid_grey else "left lung"
            if text.startswith("<image>\nPlease describe"):
                dark = middle < 100
                site = "chest" if dark or image[0, 0, 0] > 0 else "abdomen"
                known = "it shows the left lung" if site == "chest" else "it shows the liver"
                made = fakes.make_prediction(f"CT image of the {site}. {known}. no abnormality is seen.<|end|>", [])
                made.token_logprobs = np.full(3, -0.1 if mid_grey else -2.0)
                return made
            if text.startswith("<image>Please segment"):
                inside = (image[:, :, 0] > 90) & (image[:, :, 0] < 170)
                return fakes.make_prediction("It is [SEG].", [inside & (name in text or mid_grey)])
            return fakes.make_prediction("It is [SEG]. no findings in CT.", [np.zeros(image.shape[:2], dtype=bool)])

    volume = Volume.from_array(hounsfield, np.eye(4), modality="CT")
    result = interpret(TwoSites(targets=targets), volume, axis="axial")
    assert result.provenance.window["kind"] == "by site"
    assert result.provenance.window["sites"]["chest"]["name"] == "ct-lung"
    assert result.provenance.window["sites"]["abdomen"]["name"] == "ct-abdomen"
    slices = {item.target: item.slices for item in result.segments}
    assert slices == {"liver": tuple(range(8)), "left lung": tuple(range(8, 16))}


@pytest.mark.parametrize(("presence", "site"), [({"fitted": {"all": {}}}, "abdomen"), ({}, "chest")])
def test_a_window_whose_structures_are_not_there_is_not_believed(fakes, presence, site):
    """In the lung window this model guesses a chest, surer than it sees an abdomen, but draws no lung there."""
    chest = {"name": "left lung", "site": "chest", "modality": "CT", "kind": "anatomy"}

    class Guesser(fakes.FakeModel):
        def _answer(self, image, text):
            guessed = int(image.max()) > 200  # soft tissue is white in the lung window
            if text.startswith("<image>\nPlease describe"):
                said = "chest. it shows the left lung" if guessed else "abdomen. it shows the liver"
                made = fakes.make_prediction(f"CT image of the {said}. no abnormality is seen.<|end|>", [])
                made.token_logprobs = np.full(3, -0.1 if guessed else -2.0)
                return made
            if text.startswith("<image>Please segment"):
                mask = (image[:, :, 0] > 90) & ("liver" in text and not guessed)
                return fakes.make_prediction("It is [SEG].", [mask])
            return fakes.make_prediction("It is [SEG]. no findings in CT.", [np.zeros(image.shape[:2], dtype=bool)])

    hounsfield = np.full((6, 24, 24), -1000.0, dtype=np.float32)
    hounsfield[:, 6:18, 6:18] = 40.0
    hounsfield += np.random.default_rng(1).normal(0, 1, hounsfield.shape).astype(np.float32)
    volume = Volume.from_array(hounsfield, np.eye(4), modality="CT")
    model = Guesser(targets=(*fakes.TARGETS, chest), presence=presence)
    assert interpret(model, volume, axis="axial").site == site


def test_an_unreadable_caption_leaves_the_site_open_unless_there_is_only_one(fakes, volume):
    class Silent(fakes.FakeModel):
        def _answer(self, image, text):
            if text.startswith("<image>\nPlease describe"):
                return fakes.make_prediction("a picture.<|end|>", [])
            return super()._answer(image, text)

    chest = {"name": "heart", "site": "chest", "modality": "CT", "kind": "anatomy"}
    result = interpret(Silent(targets=(*fakes.TARGETS, chest)), volume)
    assert (result.site, result.modality) == (None, "CT")
    assert [item.target for item in result.findings] == ["liver tumor", "liver tumor"]
    assert interpret(Silent(), volume).site == "abdomen"


def test_a_name_of_another_modality_is_read_as_one_of_the_pictures_own(model):
    known = catalogue_of(model)
    assert named_target(known, "liver tumor in heart ultrasound", "CT", "abdomen").phrase == "liver tumor in abdomen CT"
    assert named_target(known, "rash in skin dermoscopy", "CT", "abdomen").phrase == "rash in abdomen CT"
    assert named_target(known, "rash", "CT", None).kind == "abnormality"


def test_a_stop_is_heeded(model, volume):
    with pytest.raises(Cancelled):
        interpret(model, volume, cancelled=lambda: len(model.calls) >= 2)
    assert len(model.calls) == 2


def test_free_words_of_a_caption_still_say_modality_and_site(model):
    caption = complete(parse_caption("The image is a CT scan of the Abdomen, showing the liver."), catalogue_of(model))
    assert (caption.modality, caption.site) == ("CT", "abdomen")
    unknown = complete(parse_caption("A lovely view."), catalogue_of(model))
    assert (unknown.modality, unknown.site) == (None, None)


def test_a_volume_in_hounsfield_units_without_a_modality_is_tried_in_ct_windows(model):
    hounsfield = np.linspace(-1000, 500, 4 * 16 * 16, dtype=np.float32).reshape(4, 16, 16)
    frames = Frames.of(Volume.from_array(hounsfield, np.eye(4)), axis="axial")
    assert frames.window.name == "percentile"
    tried = _windows(catalogue_of(model), frames, False)
    assert [item.window.name for item in tried] == ["percentile", "ct-abdomen"]
    assert _windows(catalogue_of(model), frames, True) == [frames]
