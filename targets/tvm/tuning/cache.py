"""Choices that were timed before, by what they depend on. Pure Python.

A choice is an entry of the common cache (:mod:`actc.cache`), named by a hash of the kernel, the
CPU, the versions of the code generators and the number of candidates: equal work is never timed
twice, and what changes any of these finds nothing.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

from actc import cache
from actc.targets.tvm.host import Cpu
from actc.targets.tvm.plan import Kernel
from actc.targets.tvm.tuning.choice import Choice, from_json

KIND = "tuning"
_PART = "choice.json"
_SOURCES = ("codegen.py", "entry.py", "kernels/*.py", "tuning/*.py")


def key(kernel: Kernel, cpu: Cpu, candidates: int, threads: int) -> str:
    """What a choice depends on, as a name."""
    facts = {
        "kernel": repr(kernel),
        "cpu": [cpu.mcpu, cpu.triple, sorted(cpu.features), list(cpu.exact)],
        "versions": [*map(metadata.version, ("apache-tvm", "apache-tvm-ffi"))],
        "code": cache.source_digest(Path(__file__).parents[1], _SOURCES),
        "candidates": candidates,
        "threads": threads,
    }
    return cache.key_of(KIND, facts)


class Choices:
    """What is known of kernels, and what becomes known.

    Args:
        place: where choices are kept; None: nowhere.

    Attributes:
        problems: choices that were there and are not used, in words.
    """

    def __init__(self, place: cache.Cache | None) -> None:
        self.place = place
        self.problems: list[str] = []

    def read(self, name: str) -> Choice | None:
        """The choice of that name, None where there is none that can be read."""
        parts = None if self.place is None else self.place.read(KIND, name)
        if parts is None:
            return None
        try:
            return from_json(json.loads(parts[_PART]))
        except (ValueError, KeyError, RecursionError) as error:
            self.refuse(name, str(error) if type(error) is ValueError else "it is not JSON")
            return None

    def refuse(self, name: str, reason: str) -> None:
        """Note that a choice is not used."""
        self.problems.append(f"the cache's choice {name[:12]} is not used: {reason}")

    def write(self, name: str, choice: Choice) -> None:
        """Keep a choice."""
        if self.place is not None:
            self.place.write(KIND, name, {_PART: json.dumps(choice.to_json()).encode()})
