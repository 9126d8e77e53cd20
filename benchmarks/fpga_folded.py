"""Folded networks on small FPGAs, each at three throughputs: estimates beside what is routed.

    python benchmarks/fpga_folded.py --estimate        # foldings and estimates, in a minute
    python benchmarks/fpga_folded.py                   # and built, minutes each
    python benchmarks/fpga_folded.py --networks "2-bit MLP" --json out.json

The goals are points of the Pareto front that `actc explore` prints: the smallest design, the
fastest that takes at most --fill of the logic cells, and the one midway between them, by the
logarithm of throughput. What is built is compared with golden at every step, as always, and a
design whose Verilog, netlist or bitstream differs from golden ends the run with an error. One that
misses the clock or does not fit is said to, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, log
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import actc
from actc.errors import ActcError

ROOT = Path(__file__).resolve().parent.parent
FOLDED = ROOT / "examples" / "folded"
UNBUILT = ("ACT0581", "ACT0582", "ACT0583")
"""It does not fit, cannot be routed, misses the clock."""
KINDS = {"luts": "logic cells", "ffs": "flip-flops", "brams": "block memories",
         "dsps": "hard multipliers"}  # fmt: skip


@dataclass(frozen=True)
class Network:
    """A network and where it goes.

    Attributes:
        model: its file.
        data: name of the samples: NAME_train.npz to calibrate, NAME.npz to measure.
        board: board or device.
        options: of `actc.compile` and `actc.explore`.
        shape: of a sample.
    """

    model: Path
    data: str
    board: str
    options: Mapping[str, str] = field(default_factory=dict)
    shape: tuple[int, ...] = ()


NETWORKS = {
    "MLP": Network(
        FOLDED / "mnist_mlp.onnx", "mnist_mlp", "ecp5-25k", {"weights": "4", "activations": "4"}
    ),
    "2-bit MLP": Network(FOLDED / "mnist_mlp_2bit.onnx", "mnist_mlp", "ice40-up5k"),
    "CNN": Network(
        FOLDED / "mnist_cnn.onnx", "mnist_cnn", "ecp5-85k", {"weights": "4", "activations": "6"}
    ),
    "TFC_2W2A": Network(
        ROOT / "tests" / "corpus" / "qonnx" / "TFC_2W2A.onnx",
        "mnist_mlp",
        "ecp5-25k",
        {"activations": "4"},
        (1, 28, 28),
    ),
}


def samples(network: Network, part: str) -> dict[str, npt.NDArray[Any]]:
    """Samples by the model's input, and labels."""
    with np.load(FOLDED / f"{network.data}{part}.npz", allow_pickle=False) as found:
        arrays = dict(found)
    if not network.shape:
        return arrays
    import onnx

    name = onnx.load(network.model).graph.input[0].name
    (image,) = (value for key, value in arrays.items() if key != "labels")
    return {name: image.reshape(-1, *network.shape), "labels": arrays["labels"]}


def goals(found: Mapping[str, Any], fill: float) -> list[dict[str, Any]]:
    """Three points of a front: smallest, midway, the fastest that leaves room."""
    most = fill * found["available"]["luts"]
    roomy = [point for point in found["points"] if point["luts"] <= most] or found["points"][-1:]
    ends = log(roomy[0]["samples_per_second"]), log(roomy[-1]["samples_per_second"])
    middle = min(roomy, key=lambda point: abs(log(point["samples_per_second"]) - sum(ends) / 2))
    chosen: list[dict[str, Any]] = []
    for point in (roomy[-1], middle, roomy[0]):
        if point not in chosen:
            chosen.append(point)
    return chosen


def measure(
    name: str, network: Network, *, fill: float, seeds: int, build: bool
) -> list[dict[str, Any]]:
    """A row for each goal of a network."""
    train = samples(network, "_train")
    found = actc.explore(network.model, network.board, data=train, **network.options)
    rows = []
    for point in goals(found, fill):
        row = {
            "network": name,
            "board": network.board,
            "clock_mhz": found["clock_mhz"],
            **{key: point[key] for key in ("samples_per_second", "interval", "latency_us")},
            "estimated": {kind: point[kind] for kind in KINDS},
        }
        if build:
            try:
                row |= built(network, point, train, seeds)
            except ActcError as problem:
                if problem.diagnostics[0].code not in UNBUILT:
                    raise
                row["failed"] = problem.diagnostics[0].message
        rows.append(row)
        print_row(row)
    return rows


def built(
    network: Network, point: Mapping[str, Any], train: dict[str, Any], seeds: int
) -> dict[str, Any]:
    """What a design takes after routing, its clock, and golden's accuracy on held-out samples."""
    speed = floor(point["samples_per_second"])
    target = f"{network.board}:architecture=folded,throughput={speed},seeds={seeds}"
    with tempfile.TemporaryDirectory(prefix="actc-folded-") as folder:
        output = Path(folder) / "out"
        actc.compile(
            network.model, target, data=train, output=output, max_drop=1.0, **network.options
        )
        document = json.loads((output / "hardware.json").read_text("utf-8"))
        accuracy = accuracy_of(output / "golden.onnx", samples(network, ""))
    uses = {row["name"]: row["used"] for row in document["resources"]}
    return {
        "measured": {kind: uses[f"network's {title}"] for kind, title in KINDS.items()},
        "routed": {title: uses.get(title) for title in KINDS.values()},
        "fmax_mhz": document["clock"]["reached"],
        "accuracy": accuracy,
        "wire": document["wire"],
    }


def accuracy_of(golden: Path, data: Mapping[str, npt.NDArray[Any]]) -> float:
    """Of a golden model."""
    import onnxruntime

    session = onnxruntime.InferenceSession(golden, providers=["CPUExecutionProvider"])
    feeds = {key: value for key, value in data.items() if key != "labels"}
    count = len(data["labels"])
    batch = session.get_inputs()[0].shape[0]
    step = batch if isinstance(batch, int) else count
    found = [
        session.run(None, {key: value[at : at + step] for key, value in feeds.items()})[0]
        for at in range(0, count - step + 1, step)
    ]
    classes = np.concatenate(found).reshape(-1, found[0].shape[-1]).argmax(1)
    return float(np.mean(classes == data["labels"][: len(classes)]))


def print_head() -> None:
    """The head of the table."""
    say(
        f"{'network':10} {'board':11} {'samples/s':>10} {'clocks':>8} {'latency':>9} "
        f"{'logic cells':>15} {'flip-flops':>15} {'BRAM':>9} {'DSP':>9} {'Fmax':>6} {'accuracy':>8}"
    )


def print_row(row: Mapping[str, Any]) -> None:
    """A row of the table: estimated / measured."""
    measured = row.get("measured", {})
    cells = [
        f"{row['estimated'][kind]}/{measured[kind]}" if measured else f"{row['estimated'][kind]}"
        for kind in KINDS
    ]
    fmax = f"{row['fmax_mhz']:.0f}" if "fmax_mhz" in row else "-"
    accuracy = f"{row['accuracy']:.4f}" if "accuracy" in row else "-"
    say(
        f"{row['network']:10} {row['board']:11} {row['samples_per_second']:10,.0f} "
        f"{row['interval']:8,} {row['latency_us']:6.0f} us {cells[0]:>15} {cells[1]:>15} "
        f"{cells[2]:>9} {cells[3]:>9} {fmax:>6} {accuracy:>8}"
    )
    if "failed" in row:
        say(f"  {row['failed']}")


def print_errors(rows: Sequence[Mapping[str, Any]]) -> None:
    """The median error of the estimates."""
    for kind, title in KINDS.items():
        errors = [
            abs(row["estimated"][kind] - row["measured"][kind]) / max(row["measured"][kind], 1)
            for row in rows
            if "measured" in row
        ]
        if errors:
            say(f"{title}: estimates are {100 * np.median(errors):.1f} % off in the median")


def say(text: str) -> None:
    """A line of output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", default=",".join(NETWORKS), help="names, with commas")
    parser.add_argument("--estimate", action="store_true", help="build nothing")
    parser.add_argument(
        "--fill",
        type=float,
        default=0.7,
        help="share of the logic cells that the fastest design may take",
    )
    parser.add_argument("--seeds", type=int, default=1, help="placements to try")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    print_head()
    rows = [
        row
        for name in arguments.networks.split(",")
        for row in measure(
            name,
            NETWORKS[name],
            fill=arguments.fill,
            seeds=arguments.seeds,
            build=not arguments.estimate,
        )
    ]
    print_errors(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return int(any("failed" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
