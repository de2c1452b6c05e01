# SPDX-License-Identifier: Apache-2.0
"""Many volumes: pre-annotated by one plan, reviewed case by case, exported, used for fine-tuning.

``cases`` finds them, ``plan`` says what is done, ``catalogue`` remembers what was done, ``annotate`` does it.
"""
