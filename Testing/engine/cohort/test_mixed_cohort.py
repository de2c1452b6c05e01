# SPDX-License-Identifier: Apache-2.0
"""A cohort as a hospital has it, prompt-free: CT, MRI, 4-D MRI, skin pictures and an ultrasound clip, as phantoms."""

from __future__ import annotations

import json
import signal
import weakref
from pathlib import Path

import nibabel
import numpy as np
import pytest
import yaml
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid
from unibiomed.cli.app import run
from unibiomed.cohort.annotate import AUTOMATIC, RESULT, Annotator
from unibiomed.cohort.cases import find_cases
from unibiomed.cohort.catalogue import Catalogue
from unibiomed.cohort.export.samples import samples
from unibiomed.cohort.export.writing import export
from unibiomed.cohort.plan import Plan, plan_from
from unibiomed.cohort.run import work
from unibiomed.cohort.tally import tally
from unibiomed.errors import InputError, OutputError
from unibiomed.model import load
from unibiomed.phantoms import generate
from unibiomed.phantoms.volume import generate_volume
from unibiomed.tasks.schema import from_json
from unibiomed.volumes import read_volume
from unibiomed.volumes.modalities import base_modality
from unibiomed.volumes.volume import Volume

SEED = 5_640_000
PLAN = """
device: cpu
rules:
  - match: {path: "skin photos/*"}
    modality: dermoscopy
    site: skin
  - match: {dicom: US}
    site: heart
  - match: {bids: bold}
    frame: 1
"""
#: By case id: the modality (the model may add the sequence of an MRI) and the rule that each has to be read by.
EXPECTED = {
    "clip": ("ultrasound", 2),
    "sub-01_ct": ("CT", None),
    "sub-02_T1w": ("MRI", None),
    "sub-02_task-rest_bold": ("MRI", 3),
}


def read_by(cases: dict[str, tuple[str, int | None]]) -> dict[str, tuple[str, int | None]]:
    """Of what was read, the part to be compared with ``EXPECTED``."""
    return {name: (base_modality(modality), rule) for name, (modality, rule) in cases.items() if name in EXPECTED}


def mixed_plan() -> Plan:
    """Prompt-free; a rule where the files do not say enough."""
    return plan_from(yaml.safe_load(PLAN), "the test's plan")


def mixed_cohort(root: Path, pictures: int = 2) -> Path:
    """The cohort in ``root``: the cases of ``EXPECTED`` and ``pictures`` of skin."""
    save(generate_volume("CT", SEED, (3, 96, 96), site="abdomen").volume, root / "sub-01/ct/sub-01_ct.nii.gz")
    head = generate_volume("MRI-T1", SEED + 1, (3, 96, 96)).volume
    save(head, root / "sub-02/anat/sub-02_T1w.nii.gz")
    save(head, root / "sub-02/func/sub-02_task-rest_bold.nii.gz", times=3)
    save_clip(root / "clip" / "IM0001", frames=3)
    (root / "skin photos").mkdir()
    for number in range(pictures):
        picture = generate("dermoscopy", SEED + number).image
        Image.fromarray(picture).save(root / "skin photos" / f"Läsion {number}.png")
    return root


def save(volume: Volume, path: Path, times: int = 1) -> None:
    """Write ``volume`` as NIfTI, with several equal time points if ``times`` says so."""
    voxels = np.asarray(volume.array).transpose(2, 1, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = voxels if times == 1 else np.stack([voxels] * times, axis=-1)
    nibabel.save(nibabel.Nifti1Image(voxels, volume.ijk_to_ras), path)


def save_clip(path: Path, frames: int, modality: str = "US") -> None:
    """Write ultrasound pictures as the frames of one DICOM file without a place in the patient."""
    pictures = np.stack([generate("ultrasound", SEED + number, 160).image[..., 0] for number in range(frames)])
    item = Dataset()
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    item.SOPClassUID, item.SOPInstanceUID = UltrasoundMultiFrameImageStorage, generate_uid()
    item.StudyInstanceUID, item.SeriesInstanceUID = generate_uid(), generate_uid()
    item.PatientID, item.PatientName, item.Modality, item.NumberOfFrames = "clip", "Phantom^US", modality, frames
    item.Rows, item.Columns = pictures.shape[1:]
    item.SamplesPerPixel, item.PhotometricInterpretation, item.PixelRepresentation = 1, "MONOCHROME2", 0
    item.BitsAllocated, item.BitsStored, item.HighBit = 8, 8, 7
    item.PixelData = pictures.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    item.save_as(path, enforce_file_format=True)


@pytest.fixture(scope="module")
def annotated(tmp_path_factory) -> Path:
    """The cohort, annotated by the command; beside the good cases, four that cannot be done."""
    root = mixed_cohort(tmp_path_factory.mktemp("mixed") / "hospital")
    volume = generate_volume("MRI-T1", SEED + 9, (2, 64, 64)).volume
    save(volume, root / "sub-03/perf/sub-03_asl.nii.gz", times=2)
    Image.fromarray(generate("fundus", SEED).image).save(root / "eye.png")
    (root / "skin photos" / "empty.png").touch()
    save_clip(root / "camera" / "IM0001", frames=1, modality="OT")
    plan = root.parent / "plan.yaml"
    plan.write_text(PLAN, encoding="utf-8")
    assert run(["annotate", str(root), "--plan", str(plan), "--quiet"]) == 0
    return root


def test_each_case_is_read_as_its_rule_or_its_file_says(annotated):
    folder = annotated / "derivatives" / "unibiomed"
    with Catalogue(folder) as catalogue:
        done = {r.case.id: r.outcome for r in catalogue.records() if r.state == "done"}
    assert read_by({name: (o.reading.modality, o.reading.rule) for name, o in done.items()}) == EXPECTED
    assert done["sub-02_T1w"].reading.modality == "MRI-T1"
    skin = [outcome for name, outcome in done.items() if name.startswith("skin")]
    assert [(o.reading.modality, o.reading.site, o.reading.rule) for o in skin] == [("dermoscopy", "skin", 1)] * 2
    assert done["clip"].reading.site == "heart"
    assert done["sub-01_ct"].reading.site == "abdomen"
    for name, outcome in done.items():
        result = from_json((folder / AUTOMATIC / name / RESULT).read_text(encoding="utf-8"))
        assert result.provenance.modality == outcome.reading.modality
        assert [item.target for item in result.findings] == [found for found, _ in outcome.reading.findings]
    # The frames of a clip are the slices of its case; of a 4-D image the plan's frame alone is read.
    assert from_json((folder / AUTOMATIC / "clip" / RESULT).read_text(encoding="utf-8")).provenance.shape[0] == 3


def test_what_cannot_be_done_is_told_with_what_to_write_and_the_rest_goes_on(annotated):
    with Catalogue(annotated / "derivatives" / "unibiomed") as catalogue:
        assert catalogue.counts() == {"waiting": 0, "running": 0, "done": 6, "failed": 4}
        said = {record.case.path: record.reason for record in catalogue.records() if record.state == "failed"}
    assert "Nothing says the modality of eye.png" in said["eye.png"]
    assert "path: '*.png'" in said["eye.png"]
    assert "dicom: OT" in said["camera"]
    assert "4-D and holds 2 frames" in said["sub-03/perf/sub-03_asl.nii.gz"]
    assert "the plan says it: frame: 0" in said["sub-03/perf/sub-03_asl.nii.gz"]
    assert "empty (0 bytes)" in said["skin photos/empty.png"]
    assert all("\n" not in reason for reason in said.values())


def test_the_summary_and_the_overview_count_the_findings_by_name_and_modality(annotated, capsys):
    folder = annotated / "derivatives" / "unibiomed"
    with Catalogue(folder) as catalogue:
        counted = tally(catalogue)
        outcomes = [record.outcome for record in catalogue.records() if record.outcome]
    named = [{name for name, _ in outcome.reading.findings} for outcome in outcomes]
    assert counted.free == counted.cases == 6
    assert counted.abnormal == sum(bool(names) for names in named) > 0
    for name, item in counted.findings.items():
        assert item.cases == sum(name in names for names in named)
        assert 0 < item.mean_confidence <= 1
    assert sum(counted.histogram) == sum(len(outcome.reading.findings) for outcome in outcomes)
    assert counted.modalities["dermoscopy"].cases == 2
    assert counted.mean_seconds == pytest.approx(sum(outcome.seconds for outcome in outcomes) / 6)
    page = (folder / "overview.html").read_text(encoding="utf-8")
    assert f"{counted.abnormal} of 6 prompt-free cases show an abnormality." in page
    assert all(f"<th>{name}</th>" in page for name in (*counted.findings, *counted.modalities))
    capsys.readouterr()
    assert run(["annotate", str(annotated), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tally"] == counted.to_json()
    done = [case for case in told["cases"] if case["state"] == "done"]
    assert read_by({case["id"]: (case["modality"], case["rule"]) for case in done}) == EXPECTED
    assert any("would fail" in warning for warning in told["warnings"])


def test_what_is_exported_is_read_by_the_plan_of_its_case(annotated):
    with Catalogue(annotated / "derivatives" / "unibiomed") as catalogue:
        exported = {sample.record.case.id: sample for sample in samples(catalogue, "all", keep_identity=True)}
    # The plan's frame of the 4-D image, and the colours of the skin.
    assert exported["sub-02_task-rest_bold"].volume.source.frame == 1
    assert exported["clip"].volume.modality == "ultrasound"
    assert all(sample.volume.shape == sample.result.provenance.shape for sample in exported.values())
    assert all(sample.segmentation.shape == sample.volume.shape for sample in exported.values())


def test_a_rule_for_the_cases_that_failed_does_none_of_the_others_again(tmp_path, capsys):
    skin, eye = generate("dermoscopy", SEED).image, generate("fundus", SEED).image
    for name, picture in (("skin", skin), ("eye", eye)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    cohort, plan = str(tmp_path), tmp_path / "plan.yaml"
    rule = "rules:\n  - {match: {path: skin.png}, modality: dermoscopy}\n"
    plan.write_text(rule)
    assert run(["annotate", cohort, "--plan", str(plan), "--quiet"]) == 0
    result = tmp_path / "derivatives" / "unibiomed" / AUTOMATIC / "skin" / RESULT
    before = result.stat().st_mtime_ns
    plan.write_text(rule + "  - {match: {path: eye.png}, modality: fundus}\n")
    assert run(["annotate", cohort, "--plan", str(plan), "--device", "cpu", "--quiet"]) == 0
    with Catalogue(tmp_path / "derivatives" / "unibiomed") as catalogue:
        assert catalogue.counts() == {"waiting": 0, "running": 0, "done": 2, "failed": 0}
    assert result.stat().st_mtime_ns == before
    # One that changes what a finished case is asked for is refused, and says which.
    plan.write_text(rule.replace("dermoscopy", "pathology"))
    assert run(["annotate", cohort, "--plan", str(plan), "--quiet"]) == 2
    assert "finished cases (2, as eye)" in capsys.readouterr().err


def test_an_export_holds_one_image_at_a_time_and_one_modality_where_its_format_needs_that(
    annotated, tmp_path, monkeypatch
):
    read: list[weakref.ref] = []
    most_alive = 0

    def reading(*arguments, **options) -> Volume:
        nonlocal most_alive
        volume = read_volume(*arguments, **options)
        read.append(weakref.ref(volume))
        most_alive = max(most_alive, sum(one() is not None for one in read))
        return volume

    monkeypatch.setattr("unibiomed.cohort.export.samples.read_volume", reading)
    with Catalogue(annotated / "derivatives" / "unibiomed") as catalogue:
        chosen = export(catalogue, tmp_path / "pictures", "unibiomed", "all")
        assert len(chosen) == 6
        assert len(read) >= 6
        # The one before is forgotten when the next one has been read.
        assert most_alive <= 2
        with pytest.raises(InputError, match="these cases are CT, MRI, dermoscopy and ultrasound; export them apart"):
            export(catalogue, tmp_path / "mixed", "nnunet", "all")
        heads = export(catalogue, tmp_path / "heads", "nnunet", "all", modality="mr")
        assert {base_modality(sample.modality) for sample in heads} == {"MRI"}
        assert len(heads) == 2
        with pytest.raises(InputError, match="no case of the modality OCT"):
            export(catalogue, tmp_path / "eyes", "nnunet", "all", modality="OCT")


def test_a_dry_run_shows_the_rule_of_each_case_and_writes_nothing(tmp_path, capsys):
    root = mixed_cohort(tmp_path / "hospital")
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN + "  - match: {bids: meg}\n    site: brain\n", encoding="utf-8")
    before = sorted(root.rglob("*"))
    assert run(["annotate", str(root), "--plan", str(plan), "--plan-only", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert sorted(root.rglob("*")) == before
    planned = {case["id"]: (case["modality"], case["rule"]) for case in told["cases"] if not case["problem"]}
    assert read_by(planned) == EXPECTED
    assert planned["sub-02_T1w"] == ("MRI-T1", None)
    assert told["warnings"] == ["Rule 4 (bids meg) is never used: no case matches it."]
    assert told["plan_sha256"] == plan_from(yaml.safe_load(plan.read_text()), "p").sha256


def test_a_prompt_free_plan_may_leave_the_modality_to_the_model(tmp_path):
    Image.fromarray(generate("fundus", SEED).image).save(tmp_path / "eye.png")
    (case,) = find_cases(tmp_path)
    model = load("mini", device="cpu")
    with pytest.raises(InputError, match="Nothing says the modality of eye"):
        Annotator(model, Plan(), tmp_path, tmp_path / "out")(case)
    outcome = Annotator(model, Plan(modality_from_picture=True), tmp_path, tmp_path / "out")(case)
    assert outcome.reading.modality == "fundus"


def test_an_output_that_cannot_hold_a_case_is_told_and_the_case_is_kept(tmp_path):
    Image.fromarray(generate("dermoscopy", SEED, abnormal=True).image).save(tmp_path / "skin.png")
    (case,) = find_cases(tmp_path)
    plan = Plan(modality="dermoscopy", site="skin", outputs=("seg.nrrd", "report", "dicom-seg"))
    outcome = Annotator(load("mini", device="cpu"), plan, tmp_path, tmp_path / "out")(case)
    assert outcome.segments
    assert len(outcome.reading.left_out) == 1
    assert "DICOM series" in outcome.reading.left_out[0]
    written = {path.name for path in (tmp_path / "out" / AUTOMATIC / case.id).iterdir()}
    assert {RESULT, "segmentation.seg.nrrd", "report.html"} <= written
    assert "segmentation.dcm" not in written


def test_nothing_of_a_case_stays_in_memory_whether_it_was_done_or_not(tmp_path):
    Image.fromarray(generate("fundus", SEED).image).save(tmp_path / "eye.png")
    (case,) = find_cases(tmp_path)
    model = load("mini", device="cpu")
    plan = Plan(modality="fundus")
    Annotator(model, plan, tmp_path, tmp_path / "out")(case)
    assert model.cache.statistics.misses > 0
    assert model.cache.statistics.bytes_in_memory == 0
    (tmp_path / "out").rename(tmp_path / "kept")
    (tmp_path / "out").write_text("a file where the results should go")
    with pytest.raises(OutputError):
        Annotator(model, plan, tmp_path, tmp_path / "out")(case)
    assert model.cache.statistics.bytes_in_memory == 0


@pytest.mark.slow
def test_a_mixed_prompt_free_cohort_survives_the_loss_of_a_worker(tmp_path):
    pytest.importorskip("ray")
    psutil = pytest.importorskip("psutil")
    from unibiomed.cohort.ray_runner import annotate_on_ray

    def workers() -> list:
        mine = psutil.Process().children(recursive=True)
        return [process for process in mine if "ray::Worker" in " ".join(process.cmdline())]

    cohort, folder, plan = mixed_cohort(tmp_path / "hospital", pictures=6), tmp_path / "catalogue", mixed_plan()
    Image.fromarray(generate("fundus", SEED).image).save(cohort / "eye.png")
    killed: list[int] = []
    told: list[str] = []

    def on_case(event) -> None:
        told.append(event.case.id)
        if len(told) == 2:
            victim = workers()[0]
            victim.send_signal(signal.SIGKILL)
            killed.append(victim.pid)

    with Catalogue.create(folder, cohort, plan, find_cases(cohort)) as catalogue:
        work(catalogue, annotate_on_ray("local", plan, cohort, folder, workers=2), on_case, lambda: False)
        counts = catalogue.counts()
        records = list(catalogue.records())
    assert killed
    assert counts == {"waiting": 0, "running": 0, "done": 10, "failed": 1}
    assert sorted(told) == sorted(record.case.id for record in records)
    done = {record.case.id: record.outcome.reading for record in records if record.outcome}
    assert read_by({name: (reading.modality, reading.rule) for name, reading in done.items()}) == EXPECTED
    assert sum(reading.modality == "dermoscopy" for reading in done.values()) == 6
    assert all((folder / AUTOMATIC / name / RESULT).is_file() for name in done)
    assert not workers()
