"""Make layers of a float network binary, or ternary."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import onnx_ir as ir

from actc.data import Dataset
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.context import Context, context_of
from actc.numerics.weights import SPELLINGS
from actc.passes.base import Pass
from actc.passes.binary.plan import KEEP, Fitting, Plan, fit
from actc.passes.binary.rewrite import level_format, rewrite
from actc.passes.binary.selection import Judge, Measured, select
from actc.passes.linear_layers import (
    LinearLayer,
    depthwise,
    first_layers,
    float_layers,
    last_layers,
)
from actc.passes.options import read_options

ALL, AUTO, NONE = "all", "auto", "none"
BINARY, TERNARY = "binary", "ternary"
WEIGHTS = (BINARY, TERNARY, KEEP)
ACTIVATIONS = (BINARY, KEEP)
_OPTION = re.compile(r"(\w+)=(.*)")
FACTS = "binarized"
"""What the pass did: "layers", "inputs" and "model", the network before it."""


@dataclass(frozen=True, slots=True)
class Binarize(Pass):
    """Rules:

    1. `layers` are those that become binary: "all", "auto", "none", or names and patterns
       ("conv*") with ";" between. "all" and "auto" leave out the first and the last
       layers, which get `first` and `last` bits of weights ("binary": they are left in),
       and depthwise convolutions; "auto" takes the least sensitive first, as many as lose
       at most `max_drop` of the accuracy on labelled data.
    2. Weights of such a layer get the signs and scales ("binary"; "ternary" with zeros)
       with which it comes nearest to what it gives in the float network. With "keep"
       they stay real, fitted, for pass `weights`.
    3. What it reads gets two levels ("binary"; not with "keep"), -a and a, or 0 and a where
       that is nearer and zeros are put beside it; each channel has a cut of its own,
       halfway between the means of its two sides. The step stands in front of operators
       that only move values or choose the largest. An input of the network stays.
       `tensors` names tensors whose readers are layers, to be cut with real weights.
    4. Layers behind binary ones are fitted, too: layer by layer in the order of the graph,
       on at most `samples` samples.
    5. With a `codebook` of n entries every kernel of a binary convolution becomes the nearest
       in Hamming distance of the n most frequent ones of its layer.

    It stands in front of `recognize`, so that a step is part of the activation before it,
    and golden has one integer threshold per channel for both, with BatchNorm and bias.
    """

    name: ClassVar[str] = "binarize"

    layers: str = AUTO
    weights: str = BINARY
    activations: str = BINARY
    first: str = "8"
    last: str = "8"
    tensors: str = ""
    max_drop: float = 0.01
    samples: int = 512
    batch: int = 16
    codebook: int = 0

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrite the model; ``facts["binarized"]`` says what was done.

        Raises:
            UsageError: ACT0224, an option has no such value; ACT0246, nothing to choose by;
                ACT0247, no such layer or tensor; ACT0222, no data.
        """
        context = context_of(model)
        if wrong := self.problems():
            raise UsageError(wrong)
        dataset = _dataset(context)
        how = Fitting(
            dataset.take(self.samples) if self.samples else dataset,
            self.batch,
            self.activations == BINARY,
            context.facts.get("progress", {}).get("say", lambda text: None),
            self.codebook,
        )
        if wrong := self._misnamed(model, context):
            raise UsageError(wrong)
        before = ir.to_proto(model)
        found, alone = self._choose(model, context, dataset, how)
        tensors = self._tensors(model)
        plan = fit(model, {**tensors, **found}, how)
        names = rewrite(model, plan)
        rows = {name: _row(name, plan, alone.get(name)) for name in {**found, **alone}}
        context.facts[FACTS] = {"layers": rows, "inputs": _cuts(plan, names), "model": before}
        return ir.passes.PassResult(model, modified=bool(plan.layers))

    def problems(self) -> list[Diagnostic]:
        """All that is wrong with the options, whatever the model is: ACT0224."""
        kinds = {"weights": WEIGHTS, "activations": ACTIVATIONS}
        kinds |= {"first": SPELLINGS, "last": SPELLINGS}
        wrong = [
            Diagnostic(
                "ACT0224",
                f"option '{option}' of pass 'binarize' cannot be '{getattr(self, option)}'",
                help=f"choose one of: {', '.join(known)}",
            )
            for option, known in kinds.items()
            if getattr(self, option) not in known
        ]
        wrong += [
            Diagnostic(
                "ACT0224",
                f"option '{option}' of pass 'binarize' cannot be {number}",
                help=f"give a number of samples, at least {least}",
            )
            for option, number, least in (("samples", self.samples, 0), ("batch", self.batch, 1))
            if number < least
        ]
        if self.codebook < 0:
            message = f"option 'codebook' of pass 'binarize' cannot be {self.codebook}"
            wrong.append(Diagnostic("ACT0224", message, help="give entries, 32 say, or 0: none"))
        if not 0 <= self.max_drop <= 1:
            message = f"option 'max_drop' of pass 'binarize' cannot be {self.max_drop}"
            wrong.append(Diagnostic("ACT0224", message, help="give a fraction in 0..1"))
        if self.weights == self.activations == KEEP:
            message = "pass 'binarize' keeps weights and activations: nothing becomes binary"
            wrong.append(Diagnostic("ACT0224", message, help="leave one of them binary"))
        words = [item for item in _items(self.layers) if item in (ALL, AUTO, NONE)]
        if words and len(_items(self.layers)) > 1:
            message = f"option 'layers' of pass 'binarize' cannot be '{self.layers}'"
            how = f"give '{words[0]}' alone, or only names and patterns"
            wrong.append(Diagnostic("ACT0224", message, help=how))
        return wrong

    def _choose(
        self, model: ir.Model, context: Context, dataset: Dataset, how: Fitting
    ) -> tuple[dict[str, str], dict[str, Measured]]:
        """Formats of the layers that become binary; what candidates cause alone."""
        known = _candidates(model, context)
        if self.layers == NONE:
            return {}, {}
        if self.layers not in (ALL, AUTO):
            items = _items(self.layers)
            named = [x.name for x in known if any(_means(item, x.name) for item in items)]
            return dict.fromkeys(named, self.weights), {}
        left_out = self._edges(model, known, context)
        candidates = {x.name: self.weights for x in known if x.name not in left_out}
        if self.layers == ALL:
            return candidates, {}
        judge = Judge(model, dataset)
        if judge.accuracy is None or dataset.synthetic:
            raise UsageError(
                Diagnostic(
                    "ACT0246",
                    "layers to become binary cannot be chosen: there is no accuracy to lose",
                    help="give data with labels, for a network whose output holds classes; or "
                    "name the layers, or take all of them (--binarize all)",
                )
            )
        return select(
            candidates, lambda tried: fit(model, tried, how), judge, self.max_drop, how.say
        )

    def _edges(self, model: ir.Model, layers: list[LinearLayer], context: Context) -> set[str]:
        """Layers that are not taken unless they are named."""
        bits = context.facts.setdefault("weight_bits", {})
        kept = set(depthwise(layers))
        for name in last_layers(model, layers) if self.last != BINARY else ():
            bits.setdefault(name, self.last)
            kept.add(name)
        for name in first_layers(model, layers) if self.first != BINARY else ():
            bits.setdefault(name, self.first)
            kept.add(name)
        return kept

    def _tensors(self, model: ir.Model) -> dict[str, str]:
        """The layers whose inputs are named."""
        readers = _readers(model)
        return {layer: KEEP for name in _items(self.tensors) for layer in readers[name]}

    def _misnamed(self, model: ir.Model, context: Context) -> list[Diagnostic]:
        """Names and patterns of layers and tensors that mean nothing: ACT0247."""
        names = [layer.name for layer in _candidates(model, context)]
        readers = list(_readers(model))
        items = _items(self.layers) or [self.layers]
        wrong = [
            _unknown(item, names, "layer to make binary", context)
            for item in (items if self.layers not in (ALL, AUTO, NONE) else ())
            if not any(_means(item, name) for name in names)
        ]
        return wrong + [
            _unknown(name, readers, "tensor that a layer reads", context)
            for name in _items(self.tensors)
            if name not in readers
        ]


def parse_binarize(text: str, max_drop: float) -> Binarize:
    """What --binarize says: "auto", "all" or layers, and options of the pass, by commas.

    "auto,weights=ternary" or "conv*,head.0,last=binary".

    Raises:
        UsageError: all that is wrong: ACT0223, an option is not known, given twice or has
            another type; ACT0224, it has no such value.
    """
    parts = [part.strip() for part in text.split(",")]
    options = [part for part in parts if _OPTION.fullmatch(part)]
    layers = [part for part in parts if part and part not in options]
    if layers:
        options.append(f"layers={';'.join(layers)}")
    known = {f.name: f.default for f in dataclasses.fields(Binarize)}
    given, problems = read_options(Binarize.name, known, options)
    problems += Binarize(**given).problems()
    if problems:
        raise UsageError(problems)
    return Binarize(**{"max_drop": max_drop, **given})


def _dataset(context: Context) -> Dataset:
    if context.dataset is None:
        message = "pass 'binarize' needs data"
        raise UsageError(Diagnostic("ACT0222", message, help="pass --data DATA.npz"))
    found: Dataset = context.dataset
    return found


def _items(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _candidates(model: ir.Model, context: Context) -> list[LinearLayer]:
    """The layers that can become binary: those whose weights have no format yet."""
    given = context.facts.get("given", {})
    return [layer for layer in float_layers(model) if layer.name not in given]


def _readers(model: ir.Model) -> dict[str, list[str]]:
    """Tensors that are no inputs of the network -> the layers that read them."""
    readers: dict[str, list[str]] = {}
    for layer in float_layers(model):
        value = layer.node.inputs[0]
        if value is not None and value.producer() is not None:
            readers.setdefault(str(value.name), []).append(layer.name)
    return readers


def _means(item: str, name: str) -> bool:
    """Whether a layer is meant by a name or a pattern."""
    return name == item or fnmatchcase(name, item)


def _unknown(name: str, known: Collection[str], what: str, context: Context) -> Diagnostic:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    shown = ", ".join(list(known)[:10]) + (
        f" and {len(known) - 10} more" if len(known) > 10 else ""
    )
    return Diagnostic(
        "ACT0247",
        f"there is no {what} called '{name}'",
        place=Place(context.file, name),
        help=f"{hint}it has: {shown or 'none'}",
    )


def _row(name: str, plan: Plan, alone: Measured | None) -> dict[str, Any]:
    """What the report says of a candidate."""
    return {
        "layer": name,
        "chosen": name in plan.chosen,
        "bits": plan.chosen.get(name),
        "error_alone": None if alone is None else alone.error,
        "accuracy_alone": None if alone is None else alone.accuracy,
        "codebook": plan.layers[name].codebook if name in plan.chosen else None,
    }


def _cuts(plan: Plan, names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Binary tensor -> what it was made of, for the report."""
    found = {}
    for value, (tensor, levels) in plan.inputs.items():
        found[names[value]] = {
            "origin": str(tensor.origin.name),
            "cuts": tensor.shaped(levels.cuts),
            "levels": level_format(levels),
        }
    return found
