"""A network that is folded: what its C++ is written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from actc.targets.bnn_hls.choice import Choice
from actc.targets.bnn_hls.functions import Function
from actc.targets.bnn_hls.layers import Network, Port
from actc.targets.fpga.hdl.names import identifier
from actc.targets.vendor.words import Border

Flow: TypeAlias = Literal["vitis", "vivado"]


@dataclass(frozen=True, eq=False)
class Design:
    """A network that is folded, with all that its C++ is written from.

    Attributes:
        network: its layers.
        functions: of each layer.
        choice: the foldings.
        flow: whose pragmas are written.
    """

    network: Network
    functions: tuple[Function, ...]
    choice: Choice
    flow: Flow = "vitis"

    @property
    def words(self) -> tuple[int, int]:
        """Words of 64 bits of a sample, that come and that go."""
        taken, given = self.borders
        return taken.words, given.words

    @property
    def borders(self) -> tuple[Border, Border]:
        """Where samples come, and where they go."""
        return border_of(self.network.entry), border_of(self.network.output)


def border_of(port: Port) -> Border:
    """A port as words of 64 bits."""
    return Border(port.size, port.code.range, port.code.bits, "ACT0423")


def layer_name(design: Design, number: int) -> str:
    """An identifier of a layer."""
    return f"layer_{number}_{identifier(design.network.layers[number].name)}"
