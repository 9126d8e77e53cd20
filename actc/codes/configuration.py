"""ACT071x: choices for single activations."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
    "ACT0710": CodeInfo(
        "a form that was chosen for an activation has no effect",
        "[sites] in actc.toml, or overrides of actc.compile(), ask for a piecewise linear function "
        "where another form is taken: the activation differs by channel, or is exact as it is (a "
        "clamp in front of an operator that saturates anyway, rows of a table).",
    ),
}
