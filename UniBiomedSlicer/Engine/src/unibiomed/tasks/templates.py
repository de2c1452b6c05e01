# SPDX-License-Identifier: Apache-2.0
"""The prompts that the model was trained on, verbatim (tasks reference, section 2).

Only these are sent for the built-in tasks: independent re-tests of the released weights show that the model is weak
off its templates. Spelling and punctuation are the source's own, also where they are wrong.
"""

from __future__ import annotations

import re

IMAGE = "<image>"

SEGMENT = (
    "Can you segment the {phrase}?",
    "Please segment {phrase}.",
    "What is {phrase}? Please respond with segmentation mask.",
    "What is {phrase}? Please output segmentation mask.",
    "Could you provide a segmentation mask for the {phrase}?",
    "Please identify and segment the {phrase}.",
    "Where is the {phrase}? Please respond with a segmentation mask.",
    "Can you highlight the {phrase} with a segmentation mask?",
    "Can you segment the {phrase}",
    "Please segment {phrase}",
    "What is {phrase}? Please respond with segmentation mask",
    "What is {phrase}? Please output segmentation mask",
    "Could you provide a segmentation mask for the {phrase}",
    "Please identify and segment the {phrase}",
    "Where is the {phrase}? Please respond with a segmentation mask",
    "Can you highlight the {phrase}with a segmentation mask",
)

RECOGNISE = (
    "Can we observe any signs of abnormality? Please respond with interleaved segmentation masks for the "
    "corresponding parts.",
    "Can we see abnormality? Please highlight the region with interleaved segmentation masks.",
    "Can abnormality be identified? Please output with interleaved segmentation masks for the corresponding phrases.",
    "Can abnormality be observed? Please output with interleaved segmentation masks for the corresponding phrases.",
    "Are there any visible indications of abnormality? Please respond with interleaved segmentation masks for the "
    "corresponding parts.",
    "Are there any observable signs of abnormality? Please highlight the region with interleaved segmentation masks.",
    "Does the visual features suggest the presence of abnormality? Please output with interleaved segmentation masks "
    "for the corresponding phrases.",
    "Are there any clear indications of abnormality? Please output with interleaved segmentation masks for the "
    "corresponding phrases.",
)

REPORT = (
    "Could you diagnosis the abnormality in this image? Please respond with interleaved segmentation masks for the "
    "corresponding parts.",
    "Could you describe the abnormality in this image? Please highlight the region with interleaved segmentation "
    "masks.",
    "Can you generate a brief report for this image? Please output with interleaved segmentation masks for the "
    "corresponding phrases.",
    "Could you give a brief discription of what abnormality can be found within this image? Please output with "
    "interleaved segmentation masks for the corresponding phrases.",
)

GROUNDED_VQA = (
    "Can we observe any signs of abnormality in {anatomy}? Please respond with interleaved segmentation masks for the "
    "corresponding parts.",
    "Can we see abnormality in {anatomy}? Please highlight the region with interleaved segmentation masks.",
    "Can abnormality be identified in {anatomy}? Please output with interleaved segmentation masks for the "
    "corresponding phrases.",
    "Can abnormality be observed within {anatomy}? Please output with interleaved segmentation masks for the "
    "corresponding phrases.",
    "Are there any visible indications of abnormality in {anatomy}? Please respond with interleaved segmentation "
    "masks for the corresponding parts.",
    "Are there any observable signs of abnormality in {anatomy}? Please highlight the region with interleaved "
    "segmentation masks.",
    "Does the visual features suggest the presence of abnormality in {anatomy}? Please output with interleaved "
    "segmentation masks for the corresponding phrases.",
    "Are there any clear indications of abnormality within {anatomy}? Please output with interleaved segmentation "
    "masks for the corresponding phrases.",
)

# "<region>" is plain text, never replaced: the region is shown as a box drawn on the picture.
REGION = (
    "What is the <region> in the picture?",
    "Can you tell me what is the <region> in the image?",
    "Could you tell me the <region> in the picture?",
    "Can you identify the <region> in the image?",
    "Can you tell me about the <region> represents in this photo?",
    "What does the <region> in the photo indicate?",
    "What does the <region> refer to in this image?",
    "Could you clarify what the <region> in the photo shows?",
    "What is shown in the <region> in the picture?",
)

DESCRIBE = "Please describe the region <region> in the image in detail."


def segment_prompt(phrase: str) -> str:
    """The demo form for a named target: ``<image>Please segment {phrase}.``."""
    return IMAGE + SEGMENT[1].format(phrase=phrase)


def recognise_prompt() -> str:
    """The demo form of the abnormality question (the first of eight)."""
    return IMAGE + RECOGNISE[0]


def report_prompt() -> str:
    """The demo form of the grounded report question (the third of four)."""
    return IMAGE + REPORT[2]


def vqa_question(anatomy: str) -> str:
    """The grounded question about one part of the body (the first of eight), without ``<image>``."""
    return GROUNDED_VQA[0].format(anatomy=anatomy)


def region_prompt() -> str:
    """The region question for a picture that shows a drawn box; this task has a newline after ``<image>``."""
    return f"{IMAGE}\n{REGION[0]}"


def describe_prompt() -> str:
    """The whole-picture description; no box is drawn for it."""
    return f"{IMAGE}\n{DESCRIBE}"


def trained_blank(question: str) -> str | None:
    """What fills the blank of the trained template that ``question`` (without ``<image>``) follows.

    "" for a template without a blank; None when ``question`` follows none of them.
    """
    text = question.removeprefix(IMAGE).strip()
    if text in (*RECOGNISE, *REPORT, *REGION, DESCRIBE):
        return ""
    for template in (*GROUNDED_VQA, *SEGMENT):
        before, _, after = re.sub(r"\{\w+\}", "\0", template).partition("\0")
        if text.startswith(before) and text.endswith(after) and len(text) > len(before) + len(after):
            filled = text[len(before) : len(text) - len(after)].strip()
            if not re.search(r"[?.]", filled):
                return filled
    return None
