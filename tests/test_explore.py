"""actc explore: what is refused, before any work."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import CommandLine

MODEL = "examples/folded/mnist_mlp_2bit.onnx"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("throughput=100,seeds=2", ("throughput", "seeds")),
        ("latency=1000,architecture=folded", ("latency",)),
        ("effort=1,tables=memory,architecture=unrolled", ("effort", "tables", "unrolled")),
    ],
)
def test_options_without_meaning_are_refused_all_at_once(
    options: str, names: tuple[str, ...], root: Path, actc_cli: CommandLine
) -> None:
    done = actc_cli("explore", str(root / MODEL), "-t", f"ice40-up5k:{options}")
    assert done.status == 2
    assert done.stderr.count("error[ACT0535]") == len(names)
    assert all(name in done.stderr for name in names)


def test_a_plot_without_a_folder_is_refused_before_the_model_is_read(
    actc_cli: CommandLine,
) -> None:
    done = actc_cli("explore", "none.onnx", "-t", "ice40-up5k", "--plot", "no/such/front.png")
    assert done.status == 2
    assert "error[ACT0337]" in done.stderr
    assert "none.onnx" not in done.stderr


def test_a_plot_that_can_be_written_is_not_there_before_it_is_drawn(
    root: Path, actc_cli: CommandLine
) -> None:
    done = actc_cli("explore", str(root / MODEL), "-t", "cpu", "--plot", "front.png")
    assert done.status == 2
    assert not list(actc_cli.directory.iterdir())
