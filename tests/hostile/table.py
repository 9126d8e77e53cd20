"""All cases, in the groups of docs/security.md."""

from __future__ import annotations

from hostile import (
    artefacts,
    commands,
    folders,
    loops,
    outside,
    protobufs,
    shapes,
    structure,
    swapped,
    texts,
)
from hostile.case import Case

GROUPS: tuple[tuple[str, tuple[Case, ...]], ...] = (
    ("Files that are no model", protobufs.CASES),
    ("Graphs", structure.CASES),
    ("Loops without end", loops.CASES),
    ("Shapes, weights and attributes", shapes.CASES),
    ("Names", texts.CASES),
    ("External data", outside.CASES),
    ("Data and configurations", folders.CASES),
    ("Other commands", commands.CASES),
    ("Artefacts", (*artefacts.CASES, *swapped.CASES)),
)
CASES: tuple[Case, ...] = tuple(case for _, cases in GROUPS for case in cases)
