"""How large a network is by its weights alone, and how large it would be with fewer bits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from actc.targets.fpga.network.boundary import cut
from actc.targets.fpga.network.estimate import adder_bits, weight_bits
from actc.targets.fpga.network.lower import scope_of
from actc.targets.fpga.network.options import NetworkOptions
from actc.targets.fpga.network.rewrite import prepared

FEWEST_BITS = 2
_FUNCTIONS = ("Requantize", "Table", "ChannelTable", "Steps")


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """Estimated bits of adders.

    Attributes:
        layers: name -> bits, the largest first.
        fewer: bits of weights that are fewer than the widest ones have -> bits of adders of
            the whole network with weights of so many bits, the most bits first.
    """

    layers: Mapping[str, int]
    fewer: Mapping[int, int]

    @property
    def total(self) -> int:
        """Of the whole network."""
        return sum(self.layers.values())


def network_size(golden: ir.Model, options: NetworkOptions) -> NetworkSize:
    """The size of a golden model that can be unrolled."""
    return size_of(cut(prepared(golden, options.end == "outputs")).nodes)


def size_of(nodes: Iterable[ir.Node]) -> NetworkSize:
    """The size of the operators that become hardware."""
    inside = list(nodes)
    layers: dict[str, int] = {}
    names: dict[ir.Value, str] = {}
    for node in inside:
        sources = [names[v] for v in node.inputs if v is not None and v in names]
        follows = bool(sources) and node.op_type in _FUNCTIONS
        name = sources[0] if follows else scope_of(node)
        names |= dict.fromkeys(node.outputs, name)
        layers[name] = layers.get(name, 0) + adder_bits(node)
    widest = max((weight_bits(node) for node in inside), default=0)
    fewer = {
        bits: sum(adder_bits(node, bits) for node in inside)
        for bits in range(min(widest - 1, 8), FEWEST_BITS - 1, -1)
    }
    ordered = sorted(layers.items(), key=lambda item: -item[1])
    return NetworkSize(dict(ordered), fewer)


def with_fewer_bits(size: NetworkSize, now: int, limit: int) -> str:
    """What `--weights` would change, in words; "" where it cannot help.

    Args:
        now: what the whole takes, in any unit.
        limit: what it may take.
    """
    found = {
        bits: round(now * bits_of / max(size.total, 1)) for bits, bits_of in size.fewer.items()
    }
    if not found:
        return ""
    bits = next((bits for bits, takes in found.items() if takes <= limit), min(found))
    enough = "would do" if found[bits] <= limit else "would not do either"
    return f"--weights {bits} {enough}: about {found[bits]:,} of {limit:,}"
