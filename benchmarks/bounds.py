"""Proven bounds of |float - golden| beside what data and a search find.

Compiles example networks and random small ones, proves a bound for both regions of
`actc check --bound`, measures the difference on data, and searches for inputs of the
region on which it is large (tests/bound_networks.py). Give names of networks to run only
those.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from bound_networks import SEARCHED, Compiled, compiled, random_network, searched  # noqa: E402

Array = np.ndarray[Any, Any]
EXAMPLES = {
    "digits/mlp": "digits/digits_mlp",
    "digits/cnn": "digits/digits",
    "mnist/mlp": "mnist/mnist",
}
RANDOM = {
    "random mlp, 2 layers": ("shallow", "Tanh({0})"),
    "random mlp, 3 layers": ("mlp", "Gelu({0})"),
    "random conv": ("conv", "HardSwish({0})"),
    "random residual": ("residual", "Relu({0})"),
    "random gate": ("gate", "Sigmoid({0})"),
    "random norm": ("norm", "Gelu({0})"),
    "random attention": ("attention", "Relu({0})"),
}
_SAMPLES = 300


def _example(name: str) -> tuple[onnx.ModelProto, dict[str, Array]]:
    model = onnx.load(ROOT / "examples" / f"{name}.onnx")
    given = model.graph.input[0]
    shape = [d.dim_value for d in given.type.tensor_type.shape.dim[1:]]
    with np.load(ROOT / "examples" / f"{EXAMPLES[name]}.npz") as arrays:
        images = arrays[next(key for key in arrays.files if key != "labels")]
    return model, {given.name: images[:_SAMPLES].reshape(-1, *shape).astype(np.float32)}


def _row(name: str, bits: str, region: str, found: Compiled) -> str:
    start = time.process_time()
    proof = found.prove(region)
    seconds = time.process_time() - start
    (bound,) = proof.bounds
    _, apart = found.runners()
    measured = np.abs(apart(found.samples.reshape(len(found.samples), -1))).max()
    worst = searched(found, region, climbs=2)
    assert np.all(worst <= bound.largest), name
    ratio = bound.largest[:SEARCHED] / worst[:SEARCHED]
    return (
        f"| {name} | {bits} | {region} | {bound.largest.max():.3g} | {measured:.3g} "
        f"| {worst.max():.3g} | {ratio.min():.1f} .. {ratio.max():.1f} "
        f"| {proof.symbols} | {seconds:.1f} |"
    )


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NETWORK", help="default: all")
    parser.add_argument("--bits", default="8,mixed", help="of tensors, with commas")
    options = parser.parse_args()
    print("| network | tensors | region | bound | on data | searched | bound / searched", end="")
    print(" | symbols | CPU seconds |\n|---|---|---|---|---|---|---|---|---|")
    for name in options.names or [*RANDOM, *EXAMPLES]:
        model, data = _example(name) if name in EXAMPLES else random_network(*RANDOM[name], seed=1)
        for bits in options.bits.split(","):
            found = compiled(model, data, bits)
            for region in ("format", "data"):
                print(_row(name, bits, region, found), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\nat most {peak:.2f} GB", file=sys.stderr)


if __name__ == "__main__":
    main()
