"""Netlists found in a configuration, from the pads backwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any, Generic, TypeVar

from actc.errors import ToolFailed
from actc.targets.fpga.bitstream.document import Document, not_understood

WireT = TypeVar("WireT", bound=Hashable)


class Tracer(ABC, Generic[WireT]):
    """Follows the wires of a device from output pads to the cells that drive them, and on.

    Attributes:
        document: what was found.
        built: names of nets and cells that are in it, or will be.
    """

    def __init__(self) -> None:
        self.document = Document()
        self.built: set[str] = set()
        self._sources: dict[WireT, WireT | None] = {}
        self._waiting: list[WireT] = []

    @abstractmethod
    def is_pin(self, wire: WireT) -> bool:
        """Whether a wire is the output of a cell."""

    @abstractmethod
    def before(self, wire: WireT) -> WireT | None:
        """The wire that drives a wire; None where none does."""

    @abstractmethod
    def name(self, wire: WireT) -> str:
        """The name of the net that a pin drives."""

    @abstractmethod
    def build(self, pin: WireT) -> None:
        """Add the cell that has the pin."""

    @abstractmethod
    def input_pad(self, site: str) -> WireT:
        """The wire that an input pad drives."""

    @abstractmethod
    def output_pad(self, site: str) -> WireT:
        """The wire that drives an output pad."""

    def dangling(self, path: list[WireT]) -> None:
        """What to do about wires that lead to no pin: nothing, if not overridden."""

    def ring(self, wire: WireT) -> None:
        """What to do about wires that drive each other."""
        raise ToolFailed(not_understood(f"switches form a ring at {self.name(wire)}"))

    def run(self, pads: Mapping[str, tuple[str, list[str]]]) -> dict[str, Any]:
        """Everything that the output pads depend on, as a document.

        Args:
            pads: port -> direction and the placed site of each bit, as
                :func:`~actc.targets.fpga.bitstream.document.pads` finds them.
        """
        for port, (direction, sites) in pads.items():
            if direction == "input":
                nets = [self.name(self.input_pad(site)) for site in sites]
                self.built.update(nets)
            else:
                nets = [self.net(self.output_pad(site), "") for site in sites]
                if "" in nets:
                    raise ToolFailed(not_understood(f"nothing drives a pad of {port}"))
            self.document.port(port, direction, nets)
        while self._waiting:
            self.build(self._waiting.pop())
        return self.document.finish()

    def net(self, wire: WireT, undriven: str) -> str:
        """The net of a wire: that of the cell pin that drives it."""
        source = self.source(wire)
        if source is None:
            return undriven
        name = self.name(source)
        if name not in self.built:
            self.built.add(name)
            self._waiting.append(source)
        return name

    def source(self, wire: WireT) -> WireT | None:
        """The end of the path that leads to a wire; None where no cell is."""
        path: list[WireT] = []
        seen = {wire}
        while not self.is_pin(wire):
            path.append(wire)
            following = self._sources.get(wire) or self.before(wire)
            if following is None:
                self.dangling(path)
                break
            if following in seen:
                self.ring(wire)
                break
            seen.add(following)
            wire = following
        found = wire if self.is_pin(wire) else None
        for passed in path:
            self._sources[passed] = found
        return found
