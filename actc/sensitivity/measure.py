"""First-order sensitivities: the output error that each site causes.

To first order the error of the outputs is the sum of the errors, output by output,
that the sites cause alone. Where these are uncorrelated their mean squares add up; that
is what a choice of bits per site can count with. Both are compared with the error with
all sites on, which is measured too: with few bits roundings interact, and no sum holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actc.data import Dataset
from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.numerics.compare import Outputs
from actc.sensitivity.gates import Gate
from actc.sensitivity.setting import Setting
from actc.sensitivity.simulate import Simulation
from actc.sensitivity.sites import ErrorSite

Array = np.ndarray[Any, Any]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one site causes.

    Attributes:
        site: the site.
        bits: its bits, as the user writes them.
        error: mean square of the outputs' error that this site causes, over the mean
            square of the outputs.
    """

    site: ErrorSite
    bits: str
    error: float


@dataclass(frozen=True, slots=True)
class Sensitivities:
    """What all sites cause.

    Attributes:
        contributions: one per site, in the order of the sites.
        predicted: relative RMS of the sum of the sites' errors, correlations included.
        measured: relative RMS error of the outputs with all sites on.
    """

    contributions: tuple[Contribution, ...]
    predicted: float
    measured: float

    @property
    def independent(self) -> float:
        """Relative RMS error that the contributions add up to, were they uncorrelated."""
        return math.sqrt(math.fsum(c.error for c in self.contributions))

    def ranked(self) -> list[Contribution]:
        """The contributions, largest first."""
        return sorted(self.contributions, key=lambda c: -c.error)


class Reference:
    """The float outputs on some samples, and how far other outputs are from them.

    Raises:
        ModelError: ACT0233, the network has no float output.
    """

    def __init__(self, simulation: Simulation, dataset: Dataset) -> None:
        self._simulation, self.dataset = simulation, dataset
        self.outputs = simulation.outputs(dataset, {})
        self._power = {
            name: float(np.mean(array.astype(np.float64) ** 2))
            for name, array in self.outputs.items()
            if array.dtype.kind == "f" and array.size
        }
        if not self._power:
            message = "the network has no float output, whose error could be measured"
            raise ModelError(Diagnostic("ACT0233", message, help="end it before its ArgMax"))

    def errors(self, choice: Mapping[Gate, Setting]) -> Outputs:
        """Differences from the float outputs with some switches on, in units of their RMS."""
        outputs = self._simulation.outputs(self.dataset, choice)
        return {
            name: (outputs[name].astype(np.float64) - self.outputs[name])
            / math.sqrt(max(power, 1e-30))
            for name, power in self._power.items()
        }

    def error(self, choice: Mapping[Gate, Setting]) -> float:
        """Mean square of these differences, averaged over the float outputs."""
        return mean_square(self.errors(choice))

    def by_sample(self, choice: Mapping[Gate, Setting]) -> Array:
        """The same of each sample; float64 [samples]."""
        found = self.errors(choice).values()
        squares = [np.mean(array.reshape(len(array), -1) ** 2, axis=1) for array in found]
        return np.asarray(np.mean(squares, axis=0), np.float64)


def mean_square(errors: Outputs) -> float:
    """Mean square per output, averaged over the outputs."""
    return sum(float(np.mean(array**2)) for array in errors.values()) / len(errors)


def choice_of(sites: Collection[ErrorSite], setting: Setting) -> dict[Gate, Setting]:
    """All switches of some sites, on."""
    return {gate: setting for site in sites for gate in site.gates}


def measure(
    reference: Reference,
    sites: Sequence[ErrorSite],
    setting: Setting,
    progress: Progress | None = None,
    *,
    behind: bool = False,
) -> Sensitivities:
    """Run the simulation once per site, and once with all of them.

    Args:
        reference: the float outputs on the samples to measure with; some tens do.
        sites: of `actc.sensitivity.error_sites`.
        setting: formats and weights.
        progress: called with a line per site.
        behind: measure what each site adds behind all sites before it in the graph,
            instead of what it causes in an otherwise exact network. Then `predicted`
            is `measured` by construction, and `independent` is the prediction.
    """
    found: list[Contribution] = []
    total: Outputs = {}
    for number, site in enumerate(sites):
        if progress is not None:
            progress(f"sensitivities: site {number + 1} of {len(sites)}")
        on = sites[: number + 1] if behind else [site]
        errors = reference.errors(choice_of(on, setting))
        own = _minus(errors, total) if behind else errors
        found.append(Contribution(site, site.bits(setting), mean_square(own)))
        total = errors if behind else _minus(errors, total, -1.0)
    measured = reference.error(choice_of(sites, setting))
    predicted = mean_square(total) if total else 0.0
    return Sensitivities(tuple(found), math.sqrt(predicted), math.sqrt(measured))


def _minus(errors: Outputs, other: Outputs, factor: float = 1.0) -> Outputs:
    return {name: array - factor * other.get(name, 0.0) for name, array in errors.items()}
