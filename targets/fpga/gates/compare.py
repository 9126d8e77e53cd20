"""A gate netlist beside what the network computes: tensors in, the first difference out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actc.targets.fpga.gates.evaluate import simulate
from actc.targets.fpga.gates.netlist import GateNetlist
from actc.targets.fpga.hdl.design import Design
from actc.targets.fpga.hdl.hierarchy import hierarchy
from actc.targets.fpga.hdl.words import bus_bits, bus_values


@dataclass(frozen=True, slots=True)
class Difference:
    """The first element of an output that is not as expected.

    Attributes:
        sample: its number.
        output: name of the tensor.
        element: its index in the tensor of one sample.
        found, expected: its values.
        samples: how many samples differ, of how many.
    """

    sample: int
    output: str
    element: tuple[int, ...]
    found: int
    expected: int
    samples: tuple[int, int]

    def __str__(self) -> str:
        place = ", ".join(map(str, self.element))
        wrong, all_of_them = self.samples
        return (
            f"sample {self.sample}: {self.output}[{place}] is {self.found}, not {self.expected} "
            f"({wrong} of {all_of_them} samples differ)"
        )


def compare_values(
    outputs: Mapping[str, npt.ArrayLike], expected: Mapping[str, npt.ArrayLike]
) -> Difference | None:
    """The first difference, by sample, then by output and element; None if there is none.

    Args:
        outputs, expected: name -> integers [samples, *shape].

    Raises:
        ValueError: names, shapes or numbers of samples differ, or there is no sample.
    """
    if set(outputs) != set(expected):
        raise ValueError(f"outputs {sorted(outputs)} beside {sorted(expected)}")
    first: Difference | None = None
    wrong: set[int] = set()
    count = 0
    for name, values in expected.items():
        right, found = np.asarray(values), np.asarray(outputs[name])
        if right.shape != found.shape or not right.size:
            raise ValueError(f"{name} is {found.shape}, expected {right.shape}")
        count = len(right)
        places = np.argwhere(right != found)
        wrong.update(places[:, 0].tolist())
        if len(places) and (first is None or places[0][0] < first.sample):
            index = tuple(places[0].tolist())
            first = Difference(
                index[0], name, index[1:], int(found[index]), int(right[index]), (0, 0)
            )
    if first is None:
        return None
    return Difference(
        first.sample,
        first.output,
        first.element,
        first.found,
        first.expected,
        (len(wrong), count),
    )


def evaluate_design(
    netlist: GateNetlist,
    design: Design,
    inputs: Mapping[str, npt.ArrayLike],
    *,
    floating: int = 0,
) -> dict[str, npt.NDArray[np.generic]]:
    """Outputs of a design's netlist for samples that follow each other, one per clock.

    Args:
        netlist: of the top module that ``write_design`` wrote, with its ports.
        inputs: name of each bus -> integers [samples, *shape].
        floating: what nets without a driver read as.

    Returns:
        name of each output bus -> integers [samples, *shape], each taken `design.latency`
        clocks after its sample.

    Raises:
        ValueError: names or shapes differ, or paths of the design differ in length.
        ToolFailed: ACT0533.
    """
    latency = design.latency
    if latency is None:
        raise ValueError(f"paths of {design.name} differ in length")
    if set(inputs) != {bus.name for bus in design.inputs}:
        raise ValueError(f"{design.name} takes {[bus.name for bus in design.inputs]}")
    ports = hierarchy(design).ports
    given = {}
    for bus in design.inputs:
        bits = bus_bits(bus, inputs[bus.name])
        given[ports[bus.name]] = np.concatenate([bits, np.repeat(bits[-1:], latency, axis=0)])
    found = simulate(netlist, given, floating=floating)
    return {bus.name: bus_values(bus, found[ports[bus.name]][latency:]) for bus in design.outputs}


def compare(
    netlist: GateNetlist,
    design: Design,
    inputs: Mapping[str, npt.ArrayLike],
    expected: Mapping[str, npt.ArrayLike],
) -> Difference | None:
    """The first difference between a netlist and what its design should give.

    If nets of the netlist have no driver, it must give the same whether they are 0 or 1.

    Args:
        netlist, design, inputs: as for :func:`evaluate_design`.
        expected: name of each output bus -> integers [samples, *shape].

    Raises:
        as :func:`evaluate_design`, :func:`compare_values`.
    """
    for floating in (0, 1) if netlist.floating else (0,):
        found = evaluate_design(netlist, design, inputs, floating=floating)
        difference = compare_values(found, expected)
        if difference is not None:
            return difference
    return None
