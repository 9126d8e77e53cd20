"""Sums, maxima, pooling, rows of tables and normalization."""

from __future__ import annotations

import numpy as np

from actc.targets.c.form import Form, index, integer
from actc.targets.c.kernels.finish import finish
from actc.targets.c.kernels.window import window_ends
from actc.targets.c.program import Program
from actc.targets.tvm.kernels.strided import Embed, LayerNorm, MaxPool, Reduce
from actc.targets.tvm.plan import Call


def reduce(kernel: Reduce, call: Call, program: Program) -> Form:
    """The function of a sum or maximum over loops."""
    form = Form(kernel.out.dtype)
    form.reads("x", call.inputs[0], kernel.x.dtype)
    tail = finish(
        form, program, call.inputs[1:], kernel.inputs, kernel.out, kernel.requantize, kernel.table
    )
    adds = kernel.kind == "sum"
    with form.loops(kernel.dims) as variables:
        first = f"{integer(kernel.bias)}" if adds else "0"
        form.say(f"{'int32_t' if adds else 'uint8_t'} total = {first};")
        with form.loops(kernel.over, "r") as inner:
            value = f"x[{index(kernel.x, [*variables, *inner])}]"
            if adds:
                form.say(f"total += (int32_t){value};")
            else:
                form.say(f"total = ({value} > total) ? {value} : total;")
        tail.store("total", variables)
    return form


def max_pool(kernel: MaxPool, call: Call, program: Program) -> Form:
    """The function of maxima over windows, or of ORs of words."""
    form = Form(kernel.dtype)
    form.reads("x", call.inputs[0], kernel.dtype)
    lanes, kind = kernel.lanes, "uint8_t" if kernel.dtype == "uint8" else "uint32_t"
    with form.loop("oy", kernel.out_h), form.loop("ox", kernel.out_w):
        window_ends(form, kernel, 0, "oy", kernel.in_h)
        window_ends(form, kernel, 1, "ox", kernel.in_w)
        with form.loop("c", lanes):
            form.say(f"{kind} best = 0;")
            with (
                form.loop_between("ky", "first_y", "last_y"),
                form.loop_between("kx", "first_x", "last_x"),
            ):
                row = f"(start_y + ky * {kernel.dilations[0]}) * {kernel.in_w}"
                column = f"start_x + kx * {kernel.dilations[1]}"
                form.say(f"const {kind} value = x[({row} + {column}) * {lanes} + c];")
                if kernel.dtype == "uint8":
                    form.say("best = (value > best) ? value : best;")
                else:
                    form.say("best |= value;")
            form.say(f"out[(oy * {kernel.out_w} + ox) * {lanes} + c] = best;")
    return form


def embed(kernel: Embed, call: Call, program: Program) -> Form:
    """The function that looks rows up; what is no row takes the last one."""
    form = Form("uint8")
    form.reads("row", call.inputs[0], kernel.index.dtype)
    form.reads("table", program.constants[call.inputs[1]].reshape(-1), "uint8")
    last = kernel.rows - 1
    with form.loops(kernel.dims[:-1]) as outer:
        form.say(f"const int32_t wanted = row[{index(kernel.index, [*outer, '0'])}];")
        form.say(f"const int32_t found = ((wanted >= 0) && (wanted < {last})) ? wanted : {last};")
        with form.loop("c", kernel.width):
            value = f"table[found * {kernel.width} + c]"
            form.say(f"out[{index(kernel.out, [*outer, 'c'])}] = {value};")
    return form


def layer_norm(kernel: LayerNorm, call: Call, program: Program) -> Form:
    """The function of IntLayerNorm, or IntRmsNorm with a zero.

    Golden computes a square root and quotients in float64; `root_of` and `floor_of_quotient`
    do so with integers, rounding included.
    """
    form = Form(kernel.out.dtype)
    form.reads("x", call.inputs[0], kernel.inputs[0].dtype)
    form.reads("gamma", program.constants[call.inputs[1]].astype(np.int32), "int32")
    form.reads("beta", program.constants[call.inputs[2]].astype(np.int32), "int32")
    tail = finish(
        form, program, call.inputs[3:], kernel.inputs[3:], kernel.out,
        kernel.requantize, kernel.table,
    )  # fmt: skip
    count = kernel.dims[-1]
    mantissa, exponent = parts_of(kernel.eps)
    root_of, quotient = form.calls("root_of"), form.calls("floor_of_quotient")
    with form.loops(kernel.dims[:-1]) as outer:
        form.say("int64_t total = 0;", "int64_t squares = 0;")
        place = index(kernel.inputs[0], [*outer, "c"])
        with form.loop("c", count):
            form.say(
                f"const int32_t value = (int32_t)x[{place}];",
                "total += value;",
                "squares += (int64_t)value * value;",
            )
        if kernel.zero is None:
            variance = f"squares * {count} - total * total"
            moved = f"((int64_t)x[{place}] * {count} - total) * 4096"
        else:
            apart = f"INT64_C({count * kernel.zero * kernel.zero})"
            variance = f"squares + {apart} - total * {2 * kernel.zero}"
            moved = f"((int64_t)x[{place}] - {kernel.zero}) * 131072"
        form.say(
            f"const float64_parts root = {root_of}({variance}, UINT64_C({mantissa}), {exponent});"
        )
        with form.loop("c", count):
            walk = [*outer, "c"]
            gamma, beta = (index(o, walk) for o in kernel.inputs[1:3])
            form.say(
                f"const int64_t normal = {quotient}({moved}, root);",
                f"const int64_t sum = normal * gamma[{gamma}] + beta[{beta}];",
            )
            tail.store("(int32_t)sum", walk)
    return form


def parts_of(number: float) -> tuple[int, int]:
    """A positive float64 as a mantissa of 53 bits and a power of two."""
    fraction, exponent = np.frexp(np.float64(number))
    return int(fraction * 2.0**53), int(exponent) - 53
