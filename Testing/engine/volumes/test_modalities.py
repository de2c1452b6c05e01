# SPDX-License-Identifier: Apache-2.0
"""Names of modalities."""

from __future__ import annotations

import pytest
from unibiomed.errors import InputError
from unibiomed.volumes import MODALITIES, base_modality, parse_modality
from unibiomed.volumes.modalities import MRI_SEQUENCES, guess_mri_sequence


@pytest.mark.parametrize("word", [*MODALITIES, *MRI_SEQUENCES])
def test_a_canonical_word_is_kept_whatever_its_case(word: str) -> None:
    assert parse_modality(word) == parse_modality(word.upper()) == parse_modality(f" {word.lower()} ") == word


@pytest.mark.parametrize(
    ("alias", "word"),
    [
        ("mr", "MRI"),
        ("x ray", "X-Ray"),
        ("XRAY", "X-Ray"),
        ("CR", "X-Ray"),
        ("DX", "X-Ray"),
        ("us", "ultrasound"),
        ("ES", "endoscope"),
        ("endoscopy", "endoscope"),
        ("OP", "fundus"),
        ("OPT", "OCT"),
        ("oct", "OCT"),
        ("MG", "mammography"),
        ("SM", "pathology"),
        ("histology", "pathology"),
        ("XC", "dermoscopy"),
        ("mri_t1_gd", "MRI-T1-Gd"),
        ("T2w", "MRI-T2"),
        ("flair", "MRI-FLAIR"),
        ("MR-ADC", "MRI-ADC"),
    ],
)
def test_aliases_and_dicom_codes_are_understood(alias: str, word: str) -> None:
    assert parse_modality(alias) == word


@pytest.mark.parametrize("text", ["", "PET", "magnet", "CT;DROP", "x" * 5000])
def test_an_unknown_modality_is_refused_with_the_list_of_ten(text: str) -> None:
    with pytest.raises(InputError) as told:
        parse_modality(text)
    assert all(word in str(told.value) for word in MODALITIES)
    assert len(str(told.value)) < 400


def test_the_base_of_an_mri_sequence_is_mri() -> None:
    assert {base_modality(word) for word in MRI_SEQUENCES} == {"MRI"}
    assert [base_modality(word) for word in MODALITIES] == list(MODALITIES)


@pytest.mark.parametrize(
    ("description", "contrast", "word"),
    [
        ("AX T1 SE", False, "MRI-T1"),
        ("sag t1w mprage", False, "MRI-T1"),
        ("AX T1 POST GAD", False, "MRI-T1-Gd"),
        ("t1_fl2d_tra", True, "MRI-T1-Gd"),
        ("AX T2 FLAIR", False, "MRI-FLAIR"),
        ("AX T1 FLAIR", False, "MRI"),
        ("T2 TSE", False, "MRI-T2"),
        ("T1 and T2", False, "MRI"),
        ("ep2d_diff_ADC", False, "MRI-ADC"),
        ("FSE PD AXIAL", False, "MRI"),
        ("", True, "MRI"),
    ],
)
def test_the_mri_sequence_is_taken_only_where_the_description_is_plain(description, contrast, word) -> None:
    assert guess_mri_sequence(description, contrast=contrast) == word
