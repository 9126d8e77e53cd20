"""The page docs/onnx-coverage.md from the outcomes of the node tests."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import onnx
from onnx_node_case import NEARER, OUTCOMES, Outcome

COMMAND = "python benchmarks/onnx_nodes.py --again --page docs/onnx-coverage.md"
_COUNTED = OUTCOMES[:-1]


def page(outcomes: Mapping[str, Outcome], total: int) -> str:
    """The page as Markdown; the same outcomes give the same bytes.

    Args:
        outcomes: case -> how it ended.
        total: number of cases that the onnx package has.
    """
    counted = [o for o in outcomes.values() if o.result != "left out"]
    lines = [*_head(outcomes, total, counted), "", *_operators(counted), ""]
    lines += [*_not_passing(counted), "", *_nearer(counted), *_left_out(outcomes.values())]
    return "\n".join(lines).rstrip() + "\n"


def _head(outcomes: Mapping[str, Outcome], total: int, counted: list[Outcome]) -> list[str]:
    counts = Counter(o.result for o in counted)
    share = 100 * counts["passes"] / max(len(counted), 1)
    passing = [o for o in counted if o.result == "passes"]
    at_run_time = sum(o.run_time for o in passing)
    lines = [
        "# ONNX coverage of the target cpu",
        "",
        f"The onnx package ({onnx.__version__}) has {total:,} node tests: small models of one"
        " operator or a",
        "few, with inputs and expected outputs. Each goes through",
        "`actc compile --precision float32 --target cpu --approx exact`, with its own inputs as",
        "data, and the artefact's outputs are compared with the expected ones: integers on every",
        "bit, reals at the tolerance that the test states (bfloat16 at 2^-6, as the package's own",
        "runner does). This page is written by",
        "",
        f"    {COMMAND}",
        "",
        "Cases about training, sequences, strings and optional values are left out"
        " ([below](#left-out)).",
    ]
    if len(outcomes) < total:
        lines.append(f"{total - len(outcomes)} cases were not run.")
    lines += [
        "Values of 2 and 4 bits and of float8 are refused where a model computes them when it runs,"
        " as these",
        "cases do; as constants, weights in front of DequantizeLinear say, they are taken.",
        "",
        "| outcome | cases | |",
        "|---|---:|---|",
        f"| passes | {counts['passes']} | {share:.1f} percent of the {len(counted)} counted;"
        f" {at_run_time} of them read axes, shapes or the like when they run |",
        f"| refused | {counts['refused']} | with a code and a reason, before anything is written |",
        f"| wrong | {counts['wrong']} | outputs beyond the tolerance; by how much is said below |",
        f"| crashed | {counts['crashed']} | no coded reason, or no answer in time |",
        f"| left out | {len(outcomes) - len(counted)} | |",
    ]
    return lines


def _operators(counted: Iterable[Outcome]) -> list[str]:
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in counted:
        rows[outcome.op][outcome.result] += 1
    lines = [
        "## By operator",
        "",
        "A case counts for the operator that it is about, also where its function body is written"
        " out.",
        "",
        "| operator | " + " | ".join(_COUNTED) + " |",
        "|---|" + "---:|" * len(_COUNTED),
    ]
    for op in sorted(rows, key=str.lower):
        cells = " | ".join(str(rows[op][result] or "") for result in _COUNTED)
        lines.append(f"| {op} | {cells} |")
    return lines


def _not_passing(counted: Iterable[Outcome]) -> list[str]:
    groups: dict[tuple[int, str, str], list[str]] = defaultdict(list)
    for outcome in counted:
        if outcome.result != "passes":
            reason = _general(outcome.reason)
            groups[_COUNTED.index(outcome.result), outcome.op, reason].append(outcome.name)
    lines = [
        "## What does not pass",
        "",
        "| operator | outcome | cases | reason |",
        "|---|---|---|---|",
    ]
    for (place, op, reason), names in sorted(groups.items()):
        short = ", ".join(name.removeprefix("test_") for name in sorted(names))
        lines.append(f"| {op} | {_COUNTED[place]} | {short} | {reason} |")
    return lines


def _nearer(counted: Iterable[Outcome]) -> list[str]:
    """Cases that pass although they differ from what is expected."""
    names = [o.name for o in counted if o.result == "passes" and o.reason.startswith(NEARER)]
    if not names:
        return []
    listed = ", ".join(sorted(name.removeprefix("test_") for name in names))
    return [
        "## Expected outputs that are off",
        "",
        f"These {len(names)} cases pass although they are not within the tolerance: evaluated in"
        " double precision,",
        "the result is within it of the artefact's, and further away from the one that the case"
        " holds.",
        "",
        f"{listed}.",
        "",
    ]


def _general(reason: str) -> str:
    """A reason in one table cell: short, and without paths."""
    text = reason.partition("; ACT")[0]
    text = re.sub(r"/\S*/(?=[^/\s]+)", "", text)
    text = text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    return text if len(text) <= 160 else text[:157].rstrip() + "..."


def _left_out(outcomes: Iterable[Outcome]) -> list[str]:
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        if outcome.result == "left out":
            groups[outcome.reason][outcome.op] += 1
    lines = ["## Left out", "", "| rule | cases | operators |", "|---|---:|---|"]
    for rule in sorted(groups):
        ops = groups[rule]
        names = ", ".join(sorted(ops, key=str.lower))
        lines.append(f"| {rule} | {sum(ops.values())} | {names} |")
    return lines
