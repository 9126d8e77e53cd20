"""Targets by their names."""

from __future__ import annotations

from pathlib import Path

from actc.targets import TARGETS
from actc.targets.base import Target


def make_target(text: str, folder: Path | None = None) -> Target:
    """The target that ``name`` or ``name:option`` stands for; a board's ``.toml`` is a name too.

    Args:
        folder: that such a file lies in; None: it is a path.

    Raises:
        UsageError: unknown name or option.
    """
    name, _, option = text.partition(":")
    if folder is not None and name.endswith(".toml"):
        name = str(folder / Path(name).name)
    target = target_class(name).parse(option)
    assert isinstance(target, Target)
    return target


def target_class(name: str) -> type[Target]:
    """The class of a target, by its name or by the path of a board's ``.toml``.

    Raises:
        UsageError: unknown name, or a wrong file.
    """
    if name.endswith(".toml"):
        from actc.targets.fpga.names import board_target  # loads much that others do not need

        return board_target(name)
    found: type[Target] = TARGETS.get(name)
    return found
