"""Every function of the catalogue in an MLP for hls4ml, and hls4ml's own beside it.

    python benchmarks/hls4ml_functions.py [--functions NAME,...] [--bits 8,12] [--jobs 2] [--again]
    python benchmarks/hls4ml_functions.py --page

For each function and width: a small MLP with given formats is compiled with `--target hls4ml`,
which compares hls4ml's C simulation with golden, and all activation units on every input. Then
the C simulation runs on every code of the function's input: its largest error against the
float64 definition is ours. Beside it stands the same of hls4ml's own layers where it converts
the function (benchmarks/hls4ml_stock.py says how they are measured). Exits with 1 if ours is the
larger one anywhere.

Results are kept in docs/data/hls4ml_functions.jsonl as they come: a run that was ended goes on
where it was, and --again measures anew. --page writes docs/hls4ml-functions.md of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from catalogue_mlp import WIDTH, formats, mlp, reference, samples
from hls4ml_stock import stock_rows

import actc
from actc.approx.catalogue import CATALOGUE, find

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "data" / "hls4ml_functions.jsonl"
PAGE = ROOT / "docs" / "hls4ml-functions.md"
SLACK = 1e-6
"""Steps of the output by which ours may be larger: constants of models are float32."""
NEAREST = 0.501
"""Steps of the output."""

Row = dict[str, Any]
Key = tuple[str, int]


def measured(name: str, bits: int, target: str = "hls4ml") -> Row:
    """Compile a function's MLP, and run it on every input."""
    entry = find(name)
    source, result = formats(entry, bits)
    given = samples(entry, bits)
    with tempfile.TemporaryDirectory(prefix="actc-functions-") as folder:
        artifact = actc.compile(
            mlp([entry], bits).model, target, data={"x": given}, output=Path(folder) / "out",
            max_drop=1.0, activations="auto" if bits == 8 else "16",
        )  # fmt: skip
        found = artifact.run({"x": given})["y"]
        layers = json.loads((Path(folder) / "out" / "units.json").read_text("utf-8"))
    rungs = {rung["name"]: rung for rung in artifact.report["rungs"]}
    names = [layer["function"].split("<")[0].removeprefix("nnet::actc_") for layer in layers]
    right = reference(entry, source)
    right = right[np.isfinite(right)]
    alone = found[: WIDTH * right.size].reshape(WIDTH, right.size, WIDTH)
    errors = np.stack([np.abs(alone[k, :, k] - right) for k in range(WIDTH)])
    return {
        "function": name, "bits": bits, "input": str(source), "output": str(result),
        "layers": names, "checked": rungs["activation units"]["samples"],
        "samples": rungs["C simulation"]["samples"],
        "equal": all(rung["result"] == "equal" for rung in rungs.values()),
        "max_error": float(errors.max()), "max_error_ulp": float(errors.max() / result.ulp),
    }  # fmt: skip


def _attempted(name: str, bits: int) -> Row | str:
    """The row, or why there is none."""
    try:
        return measured(name, bits)
    except actc.ActcError as problem:
        return str(problem)


def load() -> dict[Key, Row]:
    """What was measured."""
    if not RESULTS.is_file():
        return {}
    rows = map(json.loads, RESULTS.read_text("utf-8").splitlines())
    return {(row["function"], row["bits"]): row for row in rows}


def save(rows: dict[Key, Row]) -> None:
    """Write all rows in the order of the catalogue."""
    order = {entry.name: number for number, entry in enumerate(CATALOGUE)}
    keys = sorted(rows, key=lambda key: (order[key[0]], key[1]))
    text = "".join(json.dumps(rows[key]) + "\n" for key in keys)
    RESULTS.with_suffix(".new").write_text(text, "utf-8")
    RESULTS.with_suffix(".new").replace(RESULTS)


def measure(keys: Sequence[Key], rows: dict[Key, Row], jobs: int) -> None:
    """Measure ours; a row is saved as soon as it is there."""
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        tasks = {pool.submit(_attempted, *key): key for key in keys}
        for count, task in enumerate(as_completed(tasks), 1):
            key = tasks[task]
            own = task.result()
            if isinstance(own, str):
                print(f"{key[0]}, {key[1]} bits: {own}", file=sys.stderr, flush=True)
                continue
            rows[key] = {**own, **_stock_part(rows.get(key, {}))}
            save(rows)
            print(
                f"{count}/{len(keys)} {key[0]}, {key[1]} bits: {own['max_error']:.3g}", flush=True
            )


def _stock_part(row: Row) -> Row:
    return {name: value for name, value in row.items() if name.startswith("stock")}


def measure_stock(keys: Sequence[Key], rows: dict[Key, Row]) -> None:
    """Measure hls4ml's own."""
    names, bits = list(dict.fromkeys(n for n, _ in keys)), sorted({b for _, b in keys})
    with tempfile.TemporaryDirectory(prefix="actc-stock-") as folder:
        for row in stock_rows(names, bits, Path(folder)):
            key = (row["function"], row["bits"])
            found = {f"stock_{name}": row[name] for name in ("max_error", "problem") if name in row}
            rows[key] = {**rows[key], **found, "stock_version": version("hls4ml")}
    save(rows)


# --- results


def compared(rows: dict[Key, Row]) -> Iterator[tuple[Row, bool]]:
    """Rows that hls4ml has too, and whether ours is at most its error."""
    for row in rows.values():
        if "stock_max_error" in row:
            ulp = row["max_error"] / row["max_error_ulp"] if row["max_error_ulp"] else 1.0
            yield row, row["max_error"] <= row["stock_max_error"] + SLACK * ulp


def table(rows: dict[Key, Row]) -> list[str]:
    """The functions that hls4ml converts, in Markdown."""
    lines = [
        "| function | bits | input | output | actc | hls4ml | hls4ml / actc |",
        "|---|---|---|---|---|---|---|",
    ]
    for row, _ in compared(rows):
        own, stock = row["max_error"], row["stock_max_error"]
        ratio = f"{stock / own:.2f}" if own else "1.00" if stock == own else "∞"
        cells = (row["function"], row["bits"], row["input"], row["output"])
        lines.append(f"| {' | '.join(map(str, cells))} | {own:.3g} | {stock:.3g} | {ratio} |")
    return lines


def page(rows: dict[Key, Row]) -> str:
    """docs/hls4ml-functions.md."""
    both = list(compared(rows))
    worse = [row for row, good in both if not good]
    lower = sum(row["max_error"] < row["stock_max_error"] - 1e-9 for row, _ in both)
    problems: dict[str, list[str]] = {}
    for row in rows.values():
        if "stock_problem" in row and row["bits"] == 8:
            problems.setdefault(row["stock_problem"], []).append(row["function"])
    order = sorted(problems.items(), key=lambda item: (-len(item[1]), item[0]))
    refused = [f"| {text} | {len(names)} | {', '.join(names[:5])} |" for text, names in order]
    parts = [
        "# Functions in hls4ml projects",
        "",
        "Written by `python benchmarks/hls4ml_functions.py --page`; measured by the same program",
        "without `--page`.",
        "",
        f"{len({name for name, _ in rows})} functions of the [catalogue](functions.md), each with "
        f"{' and '.join(str(b) for b in sorted({b for _, b in rows}))} bits in a small MLP:",
        f"{len(rows)} networks, whose C simulation equals golden in "
        f"{sum(row['equal'] for row in rows.values())}, on every code of the function's input.",
        "Beside that, activation units were run alone: on all inputs of ranges of up to 2^16",
        "integers, on 2^16 and all breakpoints' neighbours of wider ones "
        f"({sum(row['checked'] for row in rows.values()):,} inputs in all).",
        "",
        "The error of a function is the largest difference between the C simulation and the",
        "float64 definition over all codes of the input, outputs that saturate included. Inputs",
        "are in [-8, 8), outputs have the fewest integer bits that hold the function, up to 64.",
        f"Saturation aside it is at most {NEAREST} steps of the output in "
        f"{_nearest(rows)} of {len(rows)}:",
        "the nearest code, but for constants of models, which are float32.",
        "",
        f"## Beside hls4ml {_version(rows)}'s own layers",
        "",
        f"hls4ml converts {len({row['function'] for row, _ in both})} of them. "
        "Inputs and outputs have the same formats (its outputs",
        "round to the nearest and saturate, which is not its default), tables are its defaults.",
        f"Of {len(both)} rows ours is lower in {lower}, and larger in {len(worse)}.",
        "",
        *table(rows),
        "",
        "## What hls4ml does not convert",
        "",
        "| what it says first | functions | such as |",
        "|---|---|---|",
        *refused,
    ]
    return "\n".join(parts) + "\n"


def _version(rows: dict[Key, Row]) -> str:
    return ", ".join(sorted({row["stock_version"] for row in rows.values()}))


def _nearest(rows: dict[Key, Row]) -> int:
    found = 0
    for (name, bits), row in rows.items():
        source, target = formats(find(name), bits)
        right = reference(find(name), source)
        right = right[np.isfinite(right)]
        held = np.clip(right, target.low * target.ulp, target.high * target.ulp)
        saturated = np.abs(held - right).max()
        found += row["max_error"] <= max(NEAREST * target.ulp, saturated * (1 + SLACK))
    return found


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--functions", help="names, with commas; default: all")
    parser.add_argument("--bits", default="8,12")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="also what was measured before")
    parser.add_argument("--page", action="store_true", help="write the page, and measure nothing")
    arguments = parser.parse_args()
    rows = load()
    if arguments.page:
        PAGE.write_text(page(rows), "utf-8")
        return
    given = arguments.functions.split(",") if arguments.functions else [e.name for e in CATALOGUE]
    keys = [(find(name).name, int(bits)) for name in given for bits in arguments.bits.split(",")]
    done = [] if arguments.again else [key for key in keys if "max_error" in rows.get(key, {})]
    measure([key for key in keys if key not in done], rows, arguments.jobs)
    known = [] if arguments.again else [key for key in keys if "stock_version" in rows.get(key, {})]
    if any("max_error" not in rows.get(key, {}) for key in keys):
        sys.exit(1)
    rest = [key for key in keys if key not in known]
    if rest:
        measure_stock(rest, rows)
    chosen = {key: rows[key] for key in keys}
    print("\n".join(table(chosen)))
    worse = [row for row, good in compared(chosen) if not good]
    wrong = [row for row in chosen.values() if not row["equal"]]
    for row in (*worse, *wrong):
        print(f"{row['function']}, {row['bits']} bits: worse than hls4ml, or not equal to golden")
    if worse or wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
