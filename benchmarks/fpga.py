"""Unrolled networks on an ECP5: shared adders, multiplication by constants, da4ml.

    python benchmarks/fpga.py                                  # logic, latency, accuracy
    python benchmarks/fpga.py --route                          # and the routed clock
    python benchmarks/fpga.py --da4ml FOLDER                   # with da4ml, installed there

Same weights, same flow, same run: only products with weights and the mapping of sums differ
between contestants (see fpga_contestants.py). Every contestant is evaluated on the held-out
samples, and must give golden's scores on each of them, bit for bit.

Networks: `reference`, the digits MLP 64-16-10 compiled with 5-bit weights and tensors;
`tuned`, the same network fine-tuned for logic (examples/fpga/finetune.py).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from fpga_contestants import CONTESTANTS, DA4ML_HELP, built_by, da4ml, find_da4ml
from fpga_flow import Array, accuracy, measure, unrolled

import actc
from actc.ir.execute import Session
from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.adders.options import EFFORT, EFFORTS
from actc.targets.fpga.network import NetworkOptions

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "fpga"
NETWORKS = ("reference", "tuned")
INPUT = "image"


def arrays(name: str) -> dict[str, Array]:
    """Samples and labels of a data file of the examples."""
    with np.load(EXAMPLES / f"{name}.npz", allow_pickle=False) as found:
        return dict(found)


def golden_of(network: str, folder: Path) -> Path:
    """The golden model of a network; the reference is compiled into `folder`."""
    if network == "tuned":
        return EXAMPLES / "digits_tuned.onnx"
    actc.compile(
        EXAMPLES / "digits_mlp.onnx",
        "onnx",
        data=arrays("digits_train"),
        output=folder / network,
        weights="5",
        activations="5",
        max_drop=1.0,
    )
    return folder / network / "golden.onnx"


def run(network: str, contestant: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Build, check and measure one network with the products of one contestant."""
    name = f"{network}_{plain_name(contestant)}"
    golden, held = golden_of(network, folder / name), arrays("digits")
    with built_by(CONTESTANTS[contestant]):
        adders = AdderOptions(options.effort)
        built = unrolled(golden, name, NetworkOptions(adders=adders))
        (found,) = built.run({INPUT: held[INPUT]}).values()
        (wanted,) = Session(onnx.load(golden), threads=1).run({INPUT: held[INPUT]}).values()
        if not np.array_equal(found, wanted):
            raise SystemExit(f"{network} by {contestant} differs from golden")
        work = folder / name / "work"
        row = measure(built, options.board, options.clock, work, route=options.route)
    return {
        "network": network,
        "products": contestant,
        "accuracy": accuracy(found.argmax(axis=1), held["labels"]),
        "lut4s": row.lut4s,
        **asdict(row),
        "nanoseconds": row.nanoseconds,
    }


def plain_name(text: str) -> str:
    """The letters of a name, for modules and folders."""
    return "".join(letter for letter in text if letter.isalnum())


COLUMNS = {
    "network": "{}",
    "products": "{}",
    "accuracy": "{:.4f}",
    "luts": "{}",
    "carries": "{}",
    "lut4s": "{}",
    "ffs": "{}",
    "latency": "{}",
    "fmax": "{:.0f}",
    "nanoseconds": "{:.0f}",
    "seconds": "{:.0f}",
}


def line(row: dict[str, Any]) -> str:
    """A row of a table in Markdown; a clock that was not routed is left out."""
    cells = (
        "" if row[name] == 0 and name in ("fmax", "nanoseconds") else text.format(row[name])
        for name, text in COLUMNS.items()
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="logic of unrolled networks on an ECP5")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--products", nargs="+", choices=list(CONTESTANTS))
    parser.add_argument("--da4ml", type=Path, help="folder that da4ml was installed into")
    parser.add_argument("--board", default="ecp5-25k", help="a device of the ECP5 family")
    parser.add_argument("--clock", type=float, default=150.0, help="MHz to pipeline for")
    parser.add_argument("--effort", type=int, choices=EFFORTS, default=EFFORT,
                        help="of actc's search for adders")  # fmt: skip
    parser.add_argument("--route", action="store_true", help="place and route too")
    parser.add_argument("--json", type=Path, help="file for the rows")
    options = parser.parse_args()
    asked = options.products or list(CONTESTANTS)
    if not find_da4ml(options.da4ml):
        print(f"without da4ml: {DA4ML_HELP}", file=sys.stderr)
        asked = [name for name in asked if CONTESTANTS[name].product is not da4ml]
    rows = []
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    with tempfile.TemporaryDirectory() as folder:
        for network in options.networks:
            for contestant in asked:
                rows.append(run(network, contestant, options, Path(folder)))
                print(line(rows[-1]), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
