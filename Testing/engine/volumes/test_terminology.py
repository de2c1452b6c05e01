# SPDX-License-Identifier: Apache-2.0
"""Codes and colours of everything the models are asked for."""

from __future__ import annotations

import pytest
from slicerio.segmentation import terminology_entry_from_string
from unibiomed.phantoms.registry import all_targets
from unibiomed.volumes.terminology import ABNORMALITY_CODE, lookup, resolve, terms, to_slicer_tag

PUBLISHED_PHRASES = """
left heart ventricle in heart MRI; myocardium in heart MRI; right heart ventricle in heart MRI
left heart atrium in heart MRI
left adrenal gland in abdomen CT; right adrenal gland in abdomen MRI; aorta in abdomen CT; bladder in abdomen CT
duodenum in abdomen CT; esophagus in abdomen CT; gallbladder in abdomen CT; left kidney in abdomen CT
right kidney in abdomen CT; liver in abdomen CT; pancreas in abdomen CT; postcava in abdomen CT
prostate or uterus in abdomen CT; spleen in abdomen CT; stomach in abdomen CT; colon in abdomen CT
intestine in abdomen CT; rectum in abdomen CT; left head of femur in abdomen CT; kidney tumor in kidney CT
kidney cyst in kidney CT; tumor in kidney CT; edema in brain MRI-FLAIR; enhancing tumor in brain MRI-T1-Gd
non-enhancing tumor in brain MRI-T2; whole tumor in brain MRI-T1; tumor in liver CT
anterior hippocampus in hippocampus MRI; posterior hippocampus in hippocampus MRI
peripheral zone in prostate MRI-T2; transitional zone in prostate MRI-ADC; prostate in prostate MRI-T2
tumor in lung CT
tumor in pancreas CT; vessel in liver CT; tumor in colon CT; nodule in lung CT
left lung in lung CT; lung in chest X-Ray
COVID-19 infection in lung CT; airway in lung CT; fibrotic lung in lung CT; lower-grade glioma in brain MRI-FLAIR
tumor in brain MRI-FLAIR; pneumothorax in chest X-Ray; tumor in breast mammography; lesion in breast mammography
benign tumor in breast ultrasound; malignant tumor in breast ultrasound; fetal head in transperineal ultrasound
public symphysis in transperineal ultrasound; vessel in retinal fundus; optic cup in retinal fundus
optic disc in retinal fundus; neoplastic polyp in colon endoscope; non-neoplastic polyp in colon endoscope
polyp in colon endoscope; lesion in skin dermoscopy; melanoma in skin dermoscopy; edema in retinal OCT
neoplastic cells in breast pathology; inflammatory cells in colon pathology; connective tissue cells in kidney pathology
epithelial cells in skin pathology; glandular structure in colon pathology; nuclei in liver pathology
upper lobe of left lung in chest CT; pleural effusion in chest CT; tumor in prostate MRI
"""

PHRASES = [phrase.strip() for line in PUBLISHED_PHRASES.split("\n") for phrase in line.split(";") if phrase.strip()]


@pytest.mark.parametrize("phrase", PHRASES)
def test_every_phrase_of_the_published_training_sets_has_codes(phrase: str) -> None:
    term = lookup(phrase)
    assert term.known
    altered = {"tumor", "cyst", "edema", "nodule", "infection", "fibrotic", "glioma", "pneumothorax", "lesion"}
    altered |= {"polyp", "melanoma", "neoplastic", "inflammatory", "effusion"}
    expected = bool(altered & set(phrase.partition(" in ")[0].lower().replace("-", " ").split()))
    assert term.is_abnormality == expected


@pytest.mark.parametrize("spec", all_targets(), ids=lambda spec: spec.phrase)
def test_every_target_of_the_phantoms_has_codes_of_its_kind(spec) -> None:
    term = lookup(spec.name, site=spec.site)
    assert term.known
    # A skin lesion is what a dermoscopy shows, so the phantoms call it anatomy; its code says what it is.
    assert term.is_abnormality == (spec.kind == "abnormality" or spec.name == "lesion")
    assert lookup(spec.phrase).type == term.type


@pytest.mark.parametrize(
    ("words", "meaning", "modifier", "region", "region_modifier"),
    [
        ("Left Kidney", "Kidney", "Left", None, None),
        ("kidney (right)", "Kidney", "Right", None, None),
        ("KIDNEYS", "Kidney", None, None, None),
        ("tumour of the left lung", "Neoplasm", None, "Lung", "Left"),
        ("left adrenal tumor", "Neoplasm", None, "Adrenal gland", None),
        ("left ventricle", "Left ventricle", None, None, None),
        ("ventricles", "Brain ventricle", None, None, None),
        ("Grey_Matter", "Gray Matter", None, None, None),
        ("lower lobe of the right lung", "Lower lobe of lung", "Right", None, None),
        ("malignant tumor in breast ultrasound", "Neoplasm", "Malignant", "Breast", None),
        ("COVID-19 infection in left lung CT", "Infiltrate", "COVID-19", "Lung", None),
    ],
)
def test_case_spelling_side_and_site_are_understood(
    words: str, meaning: str, modifier: str | None, region: str | None, region_modifier: str | None
) -> None:
    term = lookup(words)
    found = [code.meaning if code else None for code in (term.type, term.modifier, term.region)]
    assert found == [meaning, modifier, region]
    if region_modifier:
        assert term.region_modifier.meaning == region_modifier


def test_a_site_makes_general_words_precise() -> None:
    assert lookup("tumor", site="liver").region.meaning == "Liver"
    assert lookup("cyst", site="spleen").region.meaning == "Spleen"
    assert lookup("vessel", site="retinal").region.meaning == "Retina"
    assert lookup("ventricle", site="brain").meaning == "Brain ventricle"


def test_unknown_words_get_a_general_term_in_a_stable_colour() -> None:
    thing = lookup("flux capacitor")
    assert not thing.known
    assert (thing.category.meaning, thing.type.meaning) == ("Tissue", "Tissue")
    assert thing.rgb == lookup("Flux  CAPACITOR").rgb
    assert thing.rgb != lookup("warp coil").rgb
    assert lookup("flux capacitor", kind="abnormality").is_abnormality
    assert lookup("no tumor").known is False
    assert lookup("liver and kidney").known is False
    assert lookup("").known is False
    assert lookup("~^|" * 5000).known is False


def test_a_given_code_overrides_the_looked_up_type() -> None:
    assert resolve("mystery", "10200004").meaning == "Liver"
    assert resolve("mystery", "999999999").code == "999999999"
    assert resolve("liver").code == "10200004"


@pytest.mark.parametrize("target", ["left kidney", "left lung nodule", "benign breast tumor", "unknown thing"])
def test_the_slicer_tag_is_read_back_by_slicerio(target: str) -> None:
    term = lookup(target)

    entry = terminology_entry_from_string(to_slicer_tag(term))
    assert entry["category"] == ["SCT", term.category.value, term.category.meaning]
    assert entry["type"] == [term.type.scheme, term.type.value, term.type.meaning]
    assert entry.get("typeModifier", [None, None, None])[2] == (term.modifier and term.modifier.meaning)
    assert entry.get("anatomicRegion", [None, None, None])[2] == (term.region and term.region.meaning)


def test_the_slicer_tag_of_the_left_kidney_is_the_one_that_slicer_writes() -> None:
    assert to_slicer_tag(lookup("left kidney")) == (
        "Segmentation category and type - 3D Slicer General Anatomy list~SCT^123037004^Anatomical Structure"
        "~SCT^64033007^Kidney~SCT^7771000^Left~Anatomic codes - DICOM master list~^^~^^"
    )


def verhoeff_is_valid(number: str) -> bool:
    """The check digit that every SNOMED CT identifier ends with (SNOMED CT release file specification, 5.4)."""
    multiply = [[(a + b) % 5 if a < 5 and b < 5 else 0 for b in range(10)] for a in range(10)]
    for a in range(10):
        for b in range(10):
            if a < 5 and b >= 5:
                multiply[a][b] = 5 + (a + b) % 5
            elif a >= 5 and b < 5:
                multiply[a][b] = 5 + (a - b) % 5
            elif a >= 5 and b >= 5:
                multiply[a][b] = (a - b) % 5
    permute = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
    check = 0
    for position, digit in enumerate(reversed(number)):
        value = int(digit)
        for _ in range(position % 8):
            value = permute[value]
        check = multiply[check][value]
    return check == 0


def test_every_code_is_well_formed_and_every_row_has_source_and_colour() -> None:
    for term in terms():
        for code in (term.category, term.type, term.modifier, term.region):
            if code is not None and code.scheme == "SCT":
                assert verhoeff_is_valid(code.value), f"{term.target}: {code}"
        assert term.source, term.target
        assert all(0 <= value <= 255 for value in term.rgb), term.target
        assert max(term.rgb) > 70, f"{term.target} would not be seen on a dark image"
        assert term.category.value != ABNORMALITY_CODE or term.is_abnormality
    assert not verhoeff_is_valid("10200005")
    assert len({term.target for term in terms()}) == len(terms()) >= 180
