# SPDX-License-Identifier: Apache-2.0
"""DICOM Comprehensive 3D SR, TID 1500 Measurement Report: one measurement group for each segment, unverified.

A group is TID 1411 (volumetric region) where the DICOM Segmentation that holds the segment is named, else TID 1501.
Volume is a measurement in ml; the confidence is (111012, DCM, "Certainty of Finding") in percent, with a comment that
it is not calibrated. The whole text stands in the report's Qualitative Evaluations (TID 1500, rows 12 and 14).
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    LanguageOfContentItemAndDescendants,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForSegmentation,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, generate_uid

from unibiomed.errors import InputError
from unibiomed.tasks.compose import full_stop, sentence_around, sentence_case, span_text
from unibiomed.tasks.outputs.document import Document, DocumentSegment, Instance
from unibiomed.tasks.phrases import parse_phrase
from unibiomed.volumes.modalities import base_modality
from unibiomed.volumes.terminology import Code, Term, lookup

MANUFACTURER = "UniBiomed for 3D Slicer"
NOTICE = "AI generated, not verified by a person, not for clinical use."
UNCALIBRATED = "The certainty is the model's own score and is not calibrated."
_SERIES_NUMBER = 1500

_COMMENT = CodedConcept("121106", "DCM", "Comment")
_REPORT_TEXT = CodedConcept("121071", "DCM", "Finding")
_QUALITATIVE = CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")
_CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")
_VOLUME = CodedConcept("118565006", "SCT", "Volume")
_AI_FAMILY = codes.cid7162.ArtificialIntelligence
_ML = CodedConcept("ml", "UCUM", "milliliter")
_PERCENT = CodedConcept("%", "UCUM", "percent")
_PROCEDURES = {
    "CT": CodedConcept("77477000", "SCT", "Computed Tomography"),
    "MRI": CodedConcept("113091000", "SCT", "Magnetic Resonance Imaging"),
    "X-Ray": CodedConcept("168537006", "SCT", "Plain X-ray"),
    "ultrasound": CodedConcept("16310003", "SCT", "Ultrasonography"),
    "mammography": CodedConcept("71651007", "SCT", "Mammography"),
    "OCT": CodedConcept("700070005", "SCT", "Optical Coherence Tomography"),
}
_IMAGING = CodedConcept("363679005", "SCT", "Imaging procedure")


def structured_report(document: Document) -> bytes:
    """The report as a DICOM file (Explicit VR Little Endian).

    Without patient attributes the patient is "Anonymous" and marked as de-identified; without a study it is a study of
    its own. InputError where highdicom refuses the document's identifiers.
    """
    study = document.dicom.study_uid or generate_uid(prefix=None)
    evidence = _evidence(document, study)
    try:
        content = _content(document)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module="highdicom")
            report = Comprehensive3DSR(
                evidence=evidence or [_identity(document, study)],
                content=content[0],
                series_instance_uid=generate_uid(prefix=None),
                series_number=_SERIES_NUMBER,
                sop_instance_uid=generate_uid(prefix=None),
                instance_number=1,
                manufacturer=MANUFACTURER,
                manufacturer_model_name="UniBiomed",
                software_versions=version("unibiomed"),
                device_serial_number="none",
                series_description="UniBiomed report (unverified)",
                is_complete=True,
                is_final=False,
                is_verified=False,
                specific_character_set="ISO_IR 192",
            )
    except (ValueError, TypeError) as error:
        reason = re.sub(r"\s+", " ", str(error)).strip(" .'\"")
        raise InputError(f"No DICOM SR can be made of this report: {reason}.") from error
    if not evidence:
        # highdicom asks for evidence; the standard only where the content refers to an instance.
        del report.CurrentRequestedProcedureEvidenceSequence
    if document.dicom.patient is None:
        report.PatientIdentityRemoved = "YES"
        report.DeidentificationMethod = "No patient attributes were given to UniBiomed"
    buffer = io.BytesIO()
    report.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _content(document: Document) -> MeasurementReport:
    used = _algorithm(document)
    # A report needs a group, a container of evaluations or both; highdicom builds only those with a group.
    groups = [_group(document, item, used) for item in document.segments]
    modality = str(document.provenance.get("modality") or "")
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=codes.DCM.Device,
                observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                    uid=generate_uid(prefix=None, entropy_srcs=["UniBiomed", version("unibiomed")]),
                    name="UniBiomed",
                    manufacturer_name=MANUFACTURER,
                    model_name=_line(document.provenance.get("model") or "UniBiomed", 64),
                ),
            )
        ),
        procedure_reported=_PROCEDURES.get(base_modality(modality) if modality else "", _IMAGING),
        imaging_measurements=groups or [_placeholder()],
        title=codes.DCM.ImagingMeasurementReport,
        language_of_content_item_and_descendants=LanguageOfContentItemAndDescendants(
            CodedConcept("en", "RFC5646", "English")
        ),
    )
    root = report[0].ContentSequence
    if not groups:
        del root[-1]
    root.append(_evaluations(document))
    return report


def _placeholder() -> MeasurementsAndQualitativeEvaluations:
    return MeasurementsAndQualitativeEvaluations(TrackingIdentifier(uid=generate_uid(prefix=None), identifier="none"))


def _evaluations(document: Document) -> ContainerContentItem:
    """The whole text, paragraph by paragraph, and what a reader must know."""
    box = ContainerContentItem(name=_QUALITATIVE, relationship_type=RelationshipTypeValues.CONTAINS)
    box.ContentSequence = ContentSequence()
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", document.text) if part.strip()] or ["(no text)"]
    box.ContentSequence.extend(_text(_REPORT_TEXT, part) for part in paragraphs)
    comments = [NOTICE]
    comments += ["A person edited the text after it was generated."] if document.edited else []
    comments += ["Unreliable: the model was not trained on this question."] if document.unreliable else []
    box.ContentSequence.extend(_text(_COMMENT, part) for part in (*comments, *document.notes))
    return box


def _group(
    document: Document, item: DocumentSegment, algorithm: AlgorithmIdentification
) -> MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations:
    term = _term(item)
    common = {
        "tracking_identifier": TrackingIdentifier(uid=generate_uid(prefix=None), identifier=_line(item.name, 64)),
        "finding_category": _concept(term.category),
        "finding_type": _concept(term.type),
        "algorithm_id": algorithm,
        "finding_sites": _sites(term),
        "measurements": _measurements(item),
    }
    number = document.dicom.segmentation.segments.get(item.id) if document.dicom.segmentation is not None else None
    if number is not None:
        group = VolumetricROIMeasurementsAndQualitativeEvaluations(
            **common, referenced_segment=_referenced(document, item, number)
        )
    else:
        group = MeasurementsAndQualitativeEvaluations(**common, source_images=_sources(document, item))
    group[0].ContentSequence.extend(_text(_COMMENT, said) for said in _said(document, item))
    return group


def _term(item: DocumentSegment) -> Term:
    kind = item.kind if item.kind != "unknown" else None
    phrase = parse_phrase(item.phrase or item.target or item.name)
    return lookup(item.target or phrase.target, site=phrase.site or "", kind=kind)


def _sites(term: Term) -> list[FindingSite] | None:
    """Where it is: a finding's region; a structure that has a side is its own site, to say which."""
    if term.region is not None:
        side = _concept(term.region_modifier) if term.region_modifier is not None else None
        return [FindingSite(_concept(term.region), laterality=side)]
    if not term.is_abnormality and term.modifier is not None:
        return [FindingSite(_concept(term.type), laterality=_concept(term.modifier))]
    return None


def _measurements(item: DocumentSegment) -> list[Measurement] | None:
    found = []
    if item.volume_ml is not None:
        found.append(Measurement(name=_VOLUME, value=round(item.volume_ml, 4), unit=_ML))
    if item.confidence is not None:
        found.append(Measurement(name=_CERTAINTY, value=round(100 * item.confidence, 2), unit=_PERCENT))
    return found or None


def _said(document: Document, item: DocumentSegment) -> Iterable[str]:
    """The sentences of the text that speak of the segment, where it lies, and what its figures are worth."""
    sentences = dict.fromkeys(
        sentence_around(document.text, span.start, span.end) for span in document.spans if item.id in span.segments
    )
    if not sentences and item.sentence:
        sentences = {full_stop(sentence_case(item.sentence)): None}
    yield from sentences
    if item.slices:
        axis = document.provenance.get("axis")
        yield f"Seen on {f'{axis} ' if axis else ''}{span_text(item.slices)}, counted from 0."
    if item.confidence is not None:
        yield UNCALIBRATED


def _referenced(document: Document, item: DocumentSegment, number: int) -> ReferencedSegment:
    holder = document.dicom.segmentation
    images = [SourceImageForSegmentation(one.sop_class_uid, one.sop_instance_uid) for one in _read(document, item)]
    if not images and document.dicom.series_uid is None:
        raise InputError(
            "A referenced segmentation needs the images or the series that it was made from; give dicom.instances or "
            "dicom.series_uid."
        )
    return ReferencedSegment(
        holder.sop_class_uid,
        holder.sop_instance_uid,
        number,
        source_images=images or None,
        source_series=None if images else SourceSeriesForSegmentation(document.dicom.series_uid),
    )


def _sources(document: Document, item: DocumentSegment) -> list[SourceImageForMeasurementGroup] | None:
    found = [SourceImageForMeasurementGroup(one.sop_class_uid, one.sop_instance_uid) for one in _read(document, item)]
    return found or None


def _read(document: Document, item: DocumentSegment) -> tuple[Instance, ...]:
    """The instances of the segment's slices where there is one instance for each axial slice, else all."""
    instances = document.dicom.instances
    shape = document.provenance.get("shape") or (0,)
    if document.provenance.get("axis") == "axial" and item.slices and shape[0] == len(instances) > max(item.slices):
        return tuple(instances[index] for index in item.slices)
    return instances


def _evidence(document: Document, study: str) -> list[Dataset]:
    holder = document.dicom.segmentation
    named: list[Instance] = [*document.dicom.instances, *([holder] if holder is not None else [])]
    found = []
    for item in named:
        entry = _identity(document, study)
        entry.SOPClassUID, entry.SOPInstanceUID = item.sop_class_uid, item.sop_instance_uid
        entry.StudyInstanceUID = item.study_uid or study
        series = item.series_uid or (None if item is holder else document.dicom.series_uid)
        if series is None:
            raise InputError("A referenced instance needs its series; give series_uid with it or for all in dicom.")
        entry.SeriesInstanceUID = series
        found.append(entry)
    return found


def _identity(document: Document, study: str) -> Dataset:
    """The patient and study that the report belongs to, as an instance that highdicom copies them from."""
    patient, about = document.dicom.patient, document.dicom
    entry = Dataset()
    entry.PatientID = patient.id if patient is not None else "ANONYMOUS"
    entry.PatientName = patient.name if patient is not None else "Anonymous^"
    entry.PatientBirthDate = patient.birth_date if patient is not None else ""
    entry.PatientSex = patient.sex if patient is not None else ""
    entry.StudyInstanceUID = study
    # A study of the report's own is of today, so that it can be filed.
    now = datetime.now(UTC)
    own = about.study_uid is None
    entry.StudyDate = about.study_date or (now.strftime("%Y%m%d") if own else "")
    entry.StudyTime = about.study_time or (now.strftime("%H%M%S") if own else "")
    entry.StudyID = about.study_id or ("UniBiomed" if own else "")
    entry.AccessionNumber = about.accession_number
    entry.ReferringPhysicianName = ""
    entry.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    entry.SOPInstanceUID = generate_uid(prefix=None)
    entry.SeriesInstanceUID = about.series_uid or generate_uid(prefix=None)
    return entry


def _algorithm(document: Document) -> AlgorithmIdentification:
    made = document.provenance
    parameters = [
        f"{label}={_line(made[name], 500)}"
        for name, label in (
            ("model", "model"),
            ("model_version", "model version"),
            ("weights_sha256", "weights SHA-256"),
            ("task", "task"),
            ("date", "date"),
        )
        if made.get(name)
    ]
    return AlgorithmIdentification(
        name="UniBiomed",
        version=str(made.get("engine_version") or version("unibiomed")),
        parameters=parameters or None,
        family=_AI_FAMILY,
        manufacturer=MANUFACTURER,
    )


def _text(name: CodedConcept, value: str) -> TextContentItem:
    return TextContentItem(name=name, value=_printable(value), relationship_type=RelationshipTypeValues.CONTAINS)


def _concept(code: Code) -> CodedConcept:
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning[:64])


def _printable(text: str) -> str:
    """Text without control characters other than line ends (DICOM UT)."""
    return re.sub(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]+", " ", text)


def _line(text: object, length: int) -> str:
    return re.sub(r"[\x00-\x1f\x7f\\]+", " ", str(text)).strip()[:length].strip() or "unnamed"
