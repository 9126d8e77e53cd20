"""Every activation unit of the compiled C++ on every input, beside its specification in numpy.

That what a stage's units give one behind another is the stage's function is compared as well, in
numpy: unit by unit the C++ equals the specification, so that it then equals the function.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actc.targets.base import Progress, Rung, quiet
from actc.targets.fpga.functions import StepFunction
from actc.targets.hls4ml.evaluate import evaluate_layer
from actc.targets.hls4ml.layers import HlsFunction, HlsLayer, HlsNetwork, Integers
from actc.targets.hls4ml.simulation import run_units
from actc.targets.hls4ml.units.inputs import inputs_of, tensors
from actc.targets.hls4ml.units.source import unit_layers

NAME = "activation units"
_AT_A_TIME = 1 << 21
"""Inputs that are written to one file."""


@dataclass(frozen=True, slots=True)
class _Work:
    """Inputs of one unit.

    Attributes:
        number: of the unit in the bench.
        given: int64 [calls, elements].
    """

    number: int
    layer: HlsLayer
    given: Integers


def check_units(network: HlsNetwork, project: Path, program: Path, say: Progress = quiet) -> Rung:
    """Run all units on their inputs, and compare.

    Args:
        project: folder of hls4ml's project.
        program: the compiled bench.

    Raises:
        ToolFailed: of the program.
    """
    units = unit_layers(network)
    if not units:
        return Rung(NAME, "not run", "the network has none")
    say(f"verify: {len(units)} activation units")
    wrong = function_problems(network)
    count = 0
    with tempfile.TemporaryDirectory(prefix="actc-hls4ml-") as work:
        for batch in _batches(_works(network, units)):
            calls = [(each.number, each.given) for each in batch]
            found = run_units(project, program, calls, Path(work))
            pairs = zip(batch, found, strict=True)
            wrong += [text for each, made in pairs if (text := _difference(each, made))]
            count += sum(each.given.size for each in batch)
    if wrong:
        more = f"; {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return Rung(NAME, "differs", wrong[0] + more, count)
    return Rung(NAME, "equal", f"{len(units)} units, {count} inputs, all equal", count)


def function_problems(network: HlsNetwork) -> list[str]:
    """Where the units of a stage give something else than the stage's function, in words."""
    texts = (_function_problem(network, function) for function in network.functions)
    return [text for text in texts if text]


def _works(network: HlsNetwork, units: Sequence[HlsLayer]) -> Iterator[_Work]:
    begun = {each.given: each.functions for each in network.functions}
    for number, layer in enumerate(units):
        (given,) = layer.inputs
        inputs = inputs_of(layer, network.range_of(given), begun.get(given, ()))
        for tensor in tensors(layer.shape, inputs, _AT_A_TIME):
            yield _Work(number, layer, tensor)


def _batches(works: Iterator[_Work]) -> Iterator[list[_Work]]:
    """Runs of the program: starting it costs more than a small unit."""
    batch: list[_Work] = []
    for each in works:
        if batch and sum(other.given.size for other in batch) + each.given.size > _AT_A_TIME:
            yield batch
            batch = []
        batch.append(each)
    yield batch


def _difference(work: _Work, found: Integers) -> str:
    """The first input on which the C++ differs from the specification, in words; "": none."""
    layer = work.layer
    given = work.given.reshape(-1, *layer.shape)
    expected, made = evaluate_layer(layer, given), found.reshape(given.shape)
    places = np.argwhere(made != expected)
    if not places.size:
        return ""
    at = tuple(places[0])
    return (
        f"unit {layer.name}, channel {at[-1]}, input {given[at]}: "
        f"expected {expected[at]}, found {made[at]} ({len(places)} of {made.size} are wrong)"
    )


def _function_problem(network: HlsNetwork, function: HlsFunction) -> str:
    """Where the units of a stage give something else than its function; "": nowhere."""
    layers = layers_of(network, function)
    first = layers[0]
    inputs = inputs_of(first, network.range_of(function.given), function.functions)
    if len(inputs) == 1 and len({id(own) for own in function.functions}) > 1:
        inputs = inputs * len(function.functions)
    for given in tensors(first.shape, inputs, _AT_A_TIME):
        x = given.reshape(-1, *first.shape)
        found = x
        for layer in layers:
            found = evaluate_layer(layer, found)
        for channel, own in enumerate(function.functions):
            text = _first_wrong(own, x[..., channel].ravel(), found[..., channel].ravel())
            if text:
                return f"units up to {function.made}, channel {channel}, {text}"
    return ""


def _first_wrong(own: StepFunction, x: Integers, found: Integers) -> str:
    inside = (own.range.low <= x) & (x <= own.range.high)
    x, found, right = x[inside], found[inside], own.evaluate(x[inside])
    places = np.flatnonzero(found != right)
    if not places.size:
        return ""
    at = places[0]
    return f"input {x[at]}: golden's function gives {right[at]}, they give {found[at]}"


def layers_of(network: HlsNetwork, function: HlsFunction) -> list[HlsLayer]:
    """The units that compute a function, in order."""
    known = {layer.name: layer for layer in network.layers}
    found = [known[function.made]]
    while found[0].inputs[0] != function.given:
        found.insert(0, known[found[0].inputs[0]])
    return found
