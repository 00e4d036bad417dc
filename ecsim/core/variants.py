"""Numbers of corrupted variants of a sample: 0 is the clean one, then kind by kind by severity.

A variant of a sample has an id of its own, ``variant * n_samples + sample``, so that predictions,
buffers and trainings tell it from the clean one by its id alone. The numbers never change.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["noise", "blur", "brightness", "contrast", "occlusion"]
KINDS: tuple[Kind, ...] = get_args(Kind)  # in this order for ever; new ones come last
SEVERITIES = 5


def variant(kind: Kind, severity: int) -> int:
    """Give the number of a kind at a severity from 1 to 5.

    >>> variant("noise", 1), variant("blur", 5), name(variant("blur", 5)), name(0)
    (1, 10, 'blur 5', '')
    """
    return KINDS.index(kind) * SEVERITIES + severity


def kind_and_severity(number: int) -> tuple[Kind, int]:
    """Give what a number from 1 on stands for."""
    kind, severity = divmod(number - 1, SEVERITIES)
    return KINDS[kind], severity + 1


def name(number: int) -> str:
    """Give the name of a variant, empty for the clean one."""
    return "{} {}".format(*kind_and_severity(number)) if number else ""


N_VARIANTS = len(KINDS) * SEVERITIES + 1
NAMES = tuple(map(name, range(N_VARIANTS)))
