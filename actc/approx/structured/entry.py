"""Structured functions by name: ``structured("Softmax[16]", input, output)``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass

from actc.approx.fixed_point import FixedPoint
from actc.approx.structured.attention import attention
from actc.approx.structured.decomposition import Decomposition
from actc.approx.structured.exact import crelu, group_sort, sparsemax, top_k
from actc.approx.structured.glu import GATES, gated_unit
from actc.approx.structured.gru import gru
from actc.approx.structured.lstm import lstm
from actc.approx.structured.norms import norm
from actc.approx.structured.pieces import Fitter, smallest_table
from actc.approx.structured.softmax import log_softmax, softmax
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

Build = Callable[[tuple[int, ...], FixedPoint, FixedPoint, float, Fitter], Decomposition]


@dataclass(frozen=True, slots=True)
class StructuredEntry:
    """A structured function that can be asked for by name.

    Attributes:
        name: as written.
        parameters: what stands in the brackets, in order.
        formula: one line of plain text.
        build: makes the decomposition from the parameters.
    """

    name: str
    parameters: tuple[str, ...]
    formula: str
    build: Build

    @property
    def spelling(self) -> str:
        """``TopK[n,k]``."""
        return f"{self.name}[{','.join(self.parameters)}]"


def _entries() -> list[StructuredEntry]:
    n, nd = ("n",), ("n", "d")
    found = [
        StructuredEntry(
            "Softmax",
            n,
            "exp(x_i) / sum exp(x_j)",
            lambda p, i, o, u, f: softmax(p[0], i, o, ulp=u, fitter=f),
        ),
        StructuredEntry(
            "LogSoftmax",
            n,
            "x_i - log sum exp(x_j)",
            lambda p, i, o, u, f: log_softmax(p[0], i, o, ulp=u, fitter=f),
        ),
        StructuredEntry(
            "Sparsemax",
            n,
            "projection of x onto the simplex",
            lambda p, i, o, u, f: sparsemax(p[0], i, o, ulp=u),
        ),
        StructuredEntry(
            "Attention",
            nd,
            "softmax(q k^T / sqrt(d)) v for one query and n keys",
            lambda p, i, o, u, f: attention(p[0], p[1], i, o, ulp=u, fitter=f),
        ),
        StructuredEntry(
            "TopK",
            ("n", "k"),
            "x_i if x_i is at least the k-th largest, else 0",
            lambda p, i, o, u, f: top_k(p[0], p[1], i, o, ulp=u),
        ),
        StructuredEntry(
            "GroupSort",
            ("n", "group"),
            "consecutive groups in increasing order",
            lambda p, i, o, u, f: group_sort(p[0], p[1], i, o, ulp=u),
        ),
        StructuredEntry(
            "MaxMin",
            n,
            "(max, min) of consecutive pairs",
            lambda p, i, o, u, f: group_sort(p[0], 2, i, o, ulp=u, descending=True),
        ),
        StructuredEntry(
            "CReLU",
            n,
            "max(x, 0) and max(-x, 0): 2n outputs",
            lambda p, i, o, u, f: crelu(p[0], i, o, ulp=u),
        ),
        StructuredEntry(
            "LSTM",
            n,
            "c' = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c')",
            lambda p, i, o, u, f: lstm(p[0], i, o, ulp=u, fitter=f),
        ),
        StructuredEntry(
            "GRU",
            n,
            "n = tanh(x + sigmoid(r) y), h' = n + sigmoid(z) (h - n)",
            lambda p, i, o, u, f: gru(p[0], i, o, ulp=u, fitter=f),
        ),
    ]
    found += [_norm(title, formula) for title, formula in _NORMS.items()]
    return found + [_gated(title, phi) for title, phi in GATES.items()]


_NORMS = {
    "LayerNorm": "(x - mean) / sqrt(variance + 1e-5)",
    "InstanceNorm": "(x - mean) / sqrt(variance + 1e-5) over the n pixels of a channel",
    "RMSNorm": "x / sqrt(mean of squares + 1e-5)",
}


def _norm(title: str, formula: str) -> StructuredEntry:
    return StructuredEntry(
        title, ("n",), formula, lambda p, i, o, u, f: norm(title, p[0], i, o, ulp=u, fitter=f)
    )


def _gated(title: str, phi: str) -> StructuredEntry:
    return StructuredEntry(
        title,
        ("n",),
        f"{phi}(a) b of the halves a, b of 2n inputs" if phi else "a b of the halves of 2n inputs",
        lambda p, i, o, u, f: gated_unit(title, p[0], i, o, ulp=u, fitter=f),
    )


STRUCTURED: dict[str, StructuredEntry] = {entry.name: entry for entry in _entries()}
"""All structured functions by name."""

_ALIASES = {"rmslayernorm": "RMSNorm", "groupsort2": "MaxMin", "topkthreshold": "TopK"}
_SPELLING = re.compile(r"([A-Za-z][A-Za-z0-9 _-]*)\[([^\[\]]*)\]")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_BY_PLAIN = {_plain(name): entry for name, entry in STRUCTURED.items()}
_BY_PLAIN |= {alias: STRUCTURED[name] for alias, name in _ALIASES.items()}


def is_structured(text: str) -> bool:
    """Whether `text` is written like a structured function: a known name and brackets.

    ``Softmax[16]`` and ``Softmax[x]`` are; ``Softmax``, ``GELU`` and ``m.onnx:a1[3]`` are not.
    """
    match = _SPELLING.fullmatch(text.strip())
    return match is not None and _plain(match[1]) in _BY_PLAIN


def parse_structured(text: str) -> tuple[StructuredEntry, tuple[int, ...]]:
    """Entry and parameters of ``Softmax[16]``, ``top-k[16,4]``.

    Raises:
        UsageError: ACT0358, the name is unknown or the parameters are not as many
            integers as it needs.
    """
    match = _SPELLING.fullmatch(text.strip())
    entry = _BY_PLAIN.get(_plain(match[1] if match else text))
    if entry is None:
        raise UsageError(_unknown(text))
    parts = [part.strip() for part in match[2].split(",")] if match else []
    if len(parts) != len(entry.parameters) or not all(re.fullmatch(r"\d{1,9}", p) for p in parts):
        raise UsageError(
            Diagnostic(
                "ACT0358",
                f"{text!r} does not give the parameters of {entry.name}",
                notes=(f"they are written {entry.spelling}, as whole numbers",),
                help=f"write {entry.name}[{','.join(('16', '4')[: len(entry.parameters)])}]",
            )
        )
    return entry, tuple(map(int, parts))


def structured(
    spelling: str,
    input: FixedPoint,
    output: FixedPoint,
    *,
    ulp: float = 1.0,
    fitter: Fitter = smallest_table,
) -> Decomposition:
    """The cheapest known decomposition that is proven within the target.

    Args:
        spelling: ``Name[parameters]``, the names of :data:`STRUCTURED`; case, hyphens,
            underscores and spaces do not matter.
        input, output: the formats.
        ulp: target of the bound in units of the output's last place.
        fitter: fits the scalar pieces.

    Raises:
        UsageError: ACT0358, the spelling; ACT0311, more input bits than a gate can have;
            ACT0356, too wide; ACT0357, the target is out of reach; ACT0359, a length or
            parameter is out of range.
    """
    entry, parameters = parse_structured(spelling)
    return entry.build(parameters, input, output, ulp, fitter)


def _unknown(text: str) -> Diagnostic:
    near = difflib.get_close_matches(_plain(text.split("[")[0]), list(_BY_PLAIN), 1)
    names = ", ".join(entry.spelling for entry in STRUCTURED.values())
    return Diagnostic(
        "ACT0358",
        f"there is no structured function {text!r}",
        notes=(f"there are {names}",),
        help=f"did you mean {_BY_PLAIN[near[0]].spelling}?" if near else "choose one of them",
    )
