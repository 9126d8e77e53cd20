"""hardware.json of HLS C++: foldings, clocks and memories, all of them before any synthesis."""

from __future__ import annotations

from math import ceil
from typing import Any

from actc.targets.bnn_hls.assembly import HlsAssembly
from actc.targets.bnn_hls.folding import Option, is_block, kept_rows, layer_clocks
from actc.targets.bnn_hls.functions import Function
from actc.targets.bnn_hls.layers import POPCOUNTS, Layer, MatrixLayer, MaximumLayer
from actc.targets.fpga.hardware import use

_NOTE = "areas and clocks are estimates: no vendor's tool was run"


def describe(assembly: HlsAssembly) -> dict[str, Any]:
    """The contents of hardware.json; :mod:`actc.report.hardware` describes most keys."""
    options, choice = assembly.options, assembly.design.choice
    board = options.on_board
    latency = sum(max(o.clocks, *t) for o, t in zip(choice.options, choice.transfers, strict=True))
    luts, blocks = (board.luts, board.blocks) if board else (None, None)
    return {
        "device": options.device,
        "board": board.name if board else None,
        "architecture": "folded",
        "tools": [],
        "clock": {"asked": options.clock_mhz, "estimated": None, "reached": None},
        "latency": {
            "clocks": latency,
            "ns": round(1e3 * latency / options.clock_mhz, 3),
        },
        "interval_clocks": choice.interval,
        "samples_per_second": round(assembly.samples_per_second, 3),
        "interface": "AXI4-Stream of 64 bits",
        "wire": None,
        "resources": [
            use("look-up tables", None, luts, choice.luts),
            use("block memories of 18 kbit", None, blocks, choice.blocks),
        ],
        "foldings": _foldings(assembly),
        "layers": [],
        "critical_path": [],
        "notes": [_NOTE, *_large(assembly)],
    }


def _foldings(assembly: HlsAssembly) -> list[dict[str, Any]]:
    design = assembly.design
    rows = zip(design.network.layers, design.functions, design.choice.options, strict=True)
    return [_row(layer, function, option) for layer, function, option in rows]


def _row(layer: Layer, function: Function, option: Option) -> dict[str, Any]:
    folding = option.folding
    gathered, computed = layer_clocks(layer, folding)
    own: dict[str, Any] = {"multipliers": "-", "weights": "-", "operations": layer.output.size}
    if isinstance(layer, MatrixLayer):
        words = layer.weights.size // (folding.pe * folding.simd)
        bits = layer.weights.size * layer.weight_bits
        popcount = layer.product in POPCOUNTS
        own = {
            "multipliers": f"{layer.product}, popcount" if popcount else layer.product,
            "weights": "constants" if words == 1 else _memory(bits, words),
            "weight_words": words,
            "weight_bits": bits,
            "operations": layer.products,
        }
    return {
        "layer": layer.name,
        "outputs_at_a_time": folding.pe,
        "inputs_at_a_time": folding.simd,
        **own,
        "function": function.form,
        "function_bits": function.memory_bits,
        "window": _window(layer, option),
        "clocks": max(gathered, computed),
        "estimated": {"luts": ceil(option.luts), "brams": option.blocks},
    }


def _memory(bits: int, words: int) -> str:
    where = "block memories" if is_block(bits, words) else "look-up tables"
    return f"{where}, {words} words of {bits // words} bits"


def _window(layer: Layer, option: Option) -> str:
    if not isinstance(layer, (MatrixLayer, MaximumLayer)) or not option.folding.windows:
        return "-"
    if option.folding.windows == "lines":
        return "line buffers and registers"
    return f"ring of {kept_rows(layer, layer.window)} rows"


def _large(assembly: HlsAssembly) -> list[str]:
    board, choice = assembly.options.on_board, assembly.design.choice
    if board is None or (choice.luts <= board.luts and choice.blocks <= board.blocks):
        return []
    return [f"By estimate this does not fit {board.part}: ask for a lower throughput."]
