"""The simulation of a compiled model, rebuilt from its directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from actc.artifact import open_artifact
from actc.data import DataLike, Dataset
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.prepare import prepare
from actc.sensitivity.record import rebuild
from actc.sensitivity.setting import Setting
from actc.sensitivity.simulate import Simulation
from actc.sensitivity.sites import ErrorSite, error_sites


@dataclass(frozen=True, eq=False, slots=True)
class Opened:
    """A compiled model, ready to be simulated on data.

    Attributes:
        dataset: the data.
        simulation: of its quantized model.
        setting: the formats and weights that it was compiled with.
        sites: its sites, in the order of the graph.
        max_drop: the budget that it was compiled with.
        widest: most bits of a tensor that its target takes.
    """

    dataset: Dataset
    simulation: Simulation
    setting: Setting
    sites: Sequence[ErrorSite]
    max_drop: float
    widest: int

    def layer_of(self, site: ErrorSite) -> str:
        """The last layer with weights before a site's roundings; "" before the first."""
        position = site.gates[0].position
        before = [
            gate.name
            for gate in self.simulation.gates
            if gate.kind == "weights" and gate.position <= position
        ]
        return before[-1] if before else ""


def open_simulation(directory: str | Path, data: DataLike) -> Opened:
    """Rebuild what `actc compile` simulated.

    Args:
        directory: what it wrote.
        data: as for `actc.compile`.

    Raises:
        UsageError: ACT0204, no such directory; ACT0233, a float32 model, or one that
            cannot be rebuilt; ACT0221, the data does not fit.
    """
    artifact = open_artifact(directory)
    assert artifact.path is not None
    if artifact.report["precision"] != "int8":
        raise UsageError(
            Diagnostic(
                "ACT0233",
                "a float32 model has no integers whose errors could be ranked",
                place=Place(str(directory)),
                help="compile it with --precision int8",
            )
        )
    prepared = prepare(artifact.path / "float.onnx", data)
    model, context, setting = rebuild(artifact.path, prepared, list(artifact.report["passes"]))
    simulation = Simulation(model, context, [setting])
    return Opened(
        prepared.dataset,
        simulation,
        setting,
        error_sites(simulation, setting),
        float(artifact.report["options"]["max_drop"]),
        artifact.target.capabilities().widest,
    )
