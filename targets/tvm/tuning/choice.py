"""What tuning finds for a kernel, as a value and as JSON. Pure Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from actc.targets.tvm.kernels.schedule import Schedule

_MOST = 1 << 16
"""No parameter of a schedule is larger."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The fastest schedule of a kernel.

    Attributes:
        schedule: None: the modelled one stays.
        tried: how many schedules were timed, the modelled one among them.
        batches: samples of one call.
        modelled, tuned: microseconds of a call for each of `batches`, as modelled and as chosen.
    """

    schedule: Schedule | None
    tried: int
    batches: tuple[int, ...]
    modelled: tuple[float, ...]
    tuned: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The choice as JSON values."""
        return {
            "schedule": None if self.schedule is None else asdict(self.schedule),
            "tried": self.tried,
            "batches": list(self.batches),
            "modelled_us": list(self.modelled),
            "tuned_us": list(self.tuned),
        }


def from_json(found: Any) -> Choice:
    """The inverse of `Choice.to_json`, for JSON that anybody may have written.

    Raises:
        ValueError: it is no choice.
    """
    if not isinstance(found, Mapping):
        raise ValueError("no object")
    schedule = found.get("schedule")
    batches = tuple(_whole(batch) for batch in _list(found, "batches"))
    modelled = tuple(_time(value) for value in _list(found, "modelled_us"))
    tuned = tuple(_time(value) for value in _list(found, "tuned_us"))
    if not len(batches) == len(modelled) == len(tuned):
        raise ValueError("times do not fit the batches")
    read = None if schedule is None else _schedule(schedule)
    return Choice(read, _whole(found.get("tried")), batches, modelled, tuned)


def _schedule(found: Any) -> Schedule:
    names = [field.name for field in fields(Schedule)]
    if not isinstance(found, Mapping) or set(found) != set(names):
        raise ValueError("no schedule")
    return Schedule(*(_whole(found[name]) for name in names))


def _list(found: Mapping[str, Any], name: str) -> list[Any]:
    value = found.get(name)
    if not isinstance(value, list) or not 0 < len(value) <= 8:
        raise ValueError(f"no {name}")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MOST:
        raise ValueError("no whole number")
    return value


def _time(value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value < 1e9:
        raise ValueError("no time")
    return float(value)
