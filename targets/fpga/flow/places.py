"""Which layer a cell or a net of a flat netlist belongs to, by its name.

Names begin with the path of the instance whose net a cell drives. Nets between instances
would be nobody's, or those of an instance that only reads them: for these it is known
which instance drives each net.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actc.targets.fpga.hdl.hierarchy import Hierarchy


@dataclass(frozen=True, slots=True)
class Places:
    """Where the cells of a netlist lie.

    Attributes:
        instances: paths of the instances that the hierarchy had: "core.dense_1".
        drivers: path of a net ("core.sum_3") -> path of the instance that drives it, where
            the name alone does not say so.
        added: finds what yosys appends to the name of a net for the cells around it: kinds
            and ports of cells, from the nearest one on.
    """

    instances: frozenset[str]
    drivers: Mapping[str, str]
    added: re.Pattern[str]

    @classmethod
    def of_netlist(
        cls, document: Mapping[str, Any], top: str, drivers: Mapping[str, str]
    ) -> Places:
        """Of a flat netlist that yosys' write_json wrote."""
        cells = document["modules"][top]["cells"]
        kinds = {cell["type"] for cell in cells.values()} - {"$scopeinfo"}
        added = re.compile("|".join(f"_{re.escape(kind)}_" for kind in sorted(kinds)) or "(?!)")
        scopes = (name for name, cell in cells.items() if cell["type"] == "$scopeinfo")
        return cls(frozenset(scopes), drivers, added)

    def find(self, name: str) -> str:
        """The innermost instance that a cell or net belongs to; "" if it is in none."""
        net = self.added.split(name, maxsplit=1)[0].partition("[")[0]
        if net in self.drivers:
            return self.drivers[net]
        path = name
        while "." in path:
            path = path.rpartition(".")[0]
            if path in self.instances:
                return path
        return ""


def net_drivers(written: Hierarchy, core: str) -> dict[str, str]:
    """Path of each net between layers -> path of the layer's instance that drives it.

    Args:
        written: the network.
        core: path of its instance; "" where it is the top module.
    """
    prefix = f"{core}." if core else ""
    homes = {
        written.names[wire.index]: part.instance for part in written.parts for wire in part.outputs
    }
    found = {f"{prefix}{net}": f"{prefix}{instance}" for net, instance in homes.items()}
    for part in written.parts:
        for wire in part.inputs:
            net = written.names[wire.index]
            # inputs, and registers behind them, are driven by no layer
            home = f"{prefix}{homes[net]}" if net in homes else core
            found[f"{prefix}{part.instance}.{net}"] = home
    return found | _port_drivers(written, prefix)


def _port_drivers(written: Hierarchy, prefix: str) -> dict[str, str]:
    """The same for the ports, by their first element."""
    instances = {part.scope: part.instance for part in written.parts}
    # what drives inputs lies around the network
    inputs = written.design.inputs if prefix else ()
    found = {f"{prefix}{written.ports[bus.name]}": "" for bus in inputs}
    for bus in written.design.outputs:
        scope = written.design.graph.scopes[bus.wires[0].index]
        if scope in instances:
            net = written.ports[bus.name]
            found[f"{prefix}{net}"] = f"{prefix}{instances[scope]}"
    return found
