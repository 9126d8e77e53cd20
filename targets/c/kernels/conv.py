"""Convolutions and matrix products of codes with int8 weights."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np

from actc.targets.c.form import Form, integer
from actc.targets.c.kernels.finish import requantized
from actc.targets.c.kernels.window import window_ends
from actc.targets.c.program import Program
from actc.targets.tvm.kernels.spec import ConvSpec, fold_bias
from actc.targets.tvm.plan import Call

SHORT = 64
"""Elements of a window's row that are too few for a sum of their own."""
MOST_GATHERED = 1024
"""Bytes of a window that are copied to the stack."""


def conv(spec: ConvSpec, call: Call, program: Program) -> Form:
    """The function of a convolution; maps are channels last, weights lie as they are read.

    Sums run over whole rows of the window where neighbouring taps lie side by side.
    """
    names = list(call.inputs)
    weight, bias = (program.constants[name] for name in names[1:3])
    form = Form(spec.epilogue.out_dtype)
    form.reads("x", names[0], "uint8")
    order = (2, 3, 0, 1) if spec.depthwise else (0, 2, 3, 1)
    form.reads("weight", np.ascontiguousarray(weight.transpose(order)).reshape(-1), "int8")
    folded = bias if spec.depthwise else fold_bias(bias, weight, spec.x_zero)[: spec.out_c]
    form.reads("bias", folded, "int32")
    rest = names[3:]
    if spec.epilogue.kind != "accumulator":
        form.reads("multiplier", program.constants[rest.pop(0)][: spec.out_c], "int32")
    if rest:
        form.reads("table", program.constants[rest.pop(0)], "uint8")
    if spec.pointwise and spec.group == 1:
        _rows(form, spec)
    elif spec.depthwise:
        _depthwise(form, spec)
    elif spec.group == 1 and spec.kernel[1] * spec.in_c < SHORT and _taps(spec) <= MOST_GATHERED:
        _gathered(form, spec)
    else:
        _windows(form, spec)
    return form


def _store(form: Form, spec: ConvSpec, at: str, channel: str) -> None:
    """Store the accumulator `total` of a channel."""
    if spec.epilogue.kind == "accumulator":
        form.say(f"{at} = total;")
        return
    code = requantized(form, "total", f"multiplier[{channel}]", spec.epilogue)
    if spec.epilogue.kind == "requantize+table":
        code = f"table[{code}]"
    elif spec.epilogue.kind == "requantize+channel_table":
        code = f"table[{channel} * 256 + {code}]"
    form.say(f"{at} = {code};")


def _rows(form: Form, spec: ConvSpec) -> None:
    """A matrix product over all pixels."""
    dot = form.calls("dot")
    with form.loop("pixel", spec.in_h * spec.in_w):
        form.say(f"const uint8_t *row = &x[pixel * {spec.in_c}];")
        with form.loop("c", spec.out_c):
            form.say(
                f"const int32_t total = bias[c] + {dot}(row, &weight[c * {spec.in_c}], "
                f"{spec.in_c});"
            )
            _store(form, spec, f"out[pixel * {spec.out_c} + c]", "c")


def _depthwise(form: Form, spec: ConvSpec) -> None:
    """Each channel by itself, over the taps inside the map."""
    channels, zero = spec.out_c, f" - {spec.x_zero}" if spec.x_zero else ""
    with form.loop("oy", spec.out_h), form.loop("ox", spec.out_w):
        window_ends(form, spec, 0, "oy", spec.in_h)
        window_ends(form, spec, 1, "ox", spec.in_w)
        with form.loop("c", channels):
            form.say("int32_t total = bias[c];")
            with (
                form.loop_between("ky", "first_y", "last_y"),
                form.loop_between("kx", "first_x", "last_x"),
            ):
                row = f"(start_y + ky * {spec.dilations[0]}) * {spec.in_w}"
                column = f"start_x + kx * {spec.dilations[1]}"
                tap = f"weight[(ky * {spec.kernel[1]} + kx) * {channels} + c]"
                form.say(f"total += {tap} * (x[({row} + {column}) * {channels} + c]{zero});")
            _store(form, spec, f"out[(oy * {spec.out_w} + ox) * {channels} + c]", "c")


def _place(spec: ConvSpec, axis: int) -> str:
    """Row or column of a tap in the map."""
    names = (("oy", "ky"), ("ox", "kx"))[axis]
    factors = spec.strides[axis], spec.dilations[axis]
    terms = [n if f == 1 else f"{n} * {f}" for n, f in zip(names, factors, strict=True)]
    pad = spec.pads[axis]
    return " + ".join(terms) + (f" - {pad}" if pad else "")


def _tests(spec: ConvSpec, row: str, column: str) -> str:
    """The condition that a tap lies inside the map; "" where it always does."""
    found = []
    for axis, (name, size) in enumerate(((row, spec.in_h), (column, spec.in_w))):
        if spec.pads[axis]:
            found.append(f"({name} >= 0)")
        if _last(spec, axis) >= size:
            found.append(f"({name} < {size})")
    return " && ".join(found)


def _last(spec: ConvSpec, axis: int) -> int:
    """The last row or column that any window reaches."""
    out = (spec.out_h, spec.out_w)[axis]
    reach = (spec.kernel[axis] - 1) * spec.dilations[axis]
    return (out - 1) * spec.strides[axis] - spec.pads[axis] + reach


def _taps(spec: ConvSpec) -> int:
    """Weights of an output channel."""
    return spec.kernel[0] * spec.kernel[1] * spec.in_c // spec.group


def _gathered(form: Form, spec: ConvSpec) -> None:
    """Windows that are copied, with the zero point outside of the map: one sum for each channel."""
    taps, channels, dot = _taps(spec), spec.in_c, form.calls("dot")
    form.stack = taps
    form.say(f"uint8_t window[{taps}];")
    with form.loop("oy", spec.out_h), form.loop("ox", spec.out_w):
        form.say("int32_t place = 0;")
        with form.loop("ky", spec.kernel[0]):
            form.say(f"const int32_t y = {_place(spec, 0)};")
            with form.loop("kx", spec.kernel[1]):
                form.say(f"const int32_t column = {_place(spec, 1)};")
                tests = _tests(spec, "y", "column")
                with form.block(f"if ({tests})") if tests else nullcontext():
                    form.say(f"const uint8_t *pixel = &x[(y * {spec.in_w} + column) * {channels}];")
                    with form.loop("k", channels):
                        form.say("window[place + k] = pixel[k];")
                if tests:
                    with form.block("else"), form.loop("k", channels):
                        form.say(f"window[place + k] = {spec.x_zero};")
                form.say(f"place += {channels};")
        with form.loop("c", spec.out_c):
            form.say(f"const int32_t total = bias[c] + {dot}(window, &weight[c * {taps}], {taps});")
            _store(form, spec, f"out[(oy * {spec.out_w} + ox) * {spec.out_c} + c]", "c")


def _windows(form: Form, spec: ConvSpec) -> None:
    """Any other convolution, one window after the other."""
    with form.loop("oy", spec.out_h), form.loop("ox", spec.out_w):
        joined = spec.group == 1 and (spec.dilations[1] == 1 or spec.kernel[1] == 1)
        padded_sides = spec.pads[1] > 0 or _last(spec, 1) >= spec.in_w
        if joined and padded_sides:
            _row_ends(form, spec)
        with form.loop("c", spec.out_c):
            form.say("int32_t total = bias[c];")
            size = spec.in_c // spec.group
            taps = spec.kernel[0] * spec.kernel[1] * size
            form.say(f"const int8_t *taps = &weight[c * {taps}];")
            if joined:
                _joined_rows(form, spec, padded_sides)
            else:
                _single_taps(form, spec)
            _store(form, spec, f"out[(oy * {spec.out_w} + ox) * {spec.out_c} + c]", "c")


def _row_ends(form: Form, spec: ConvSpec) -> None:
    """First and last tap of a window's rows inside the map."""
    left = f"ox * {spec.strides[1]} - {spec.pads[1]}"
    width, within = spec.kernel[1], form.calls("within")
    form.say(
        f"const int32_t left = {left};",
        f"const int32_t first = {within}(-left, 0, {width});",
        f"const int32_t last = {within}({spec.in_w} - left, first, {width});",
    )


def _joined_rows(form: Form, spec: ConvSpec, padded_sides: bool) -> None:
    """Sums over whole rows of the window."""
    channels, width = spec.in_c, spec.kernel[1]
    dot, row = form.calls("dot"), width * channels
    with form.loop("ky", spec.kernel[0]):
        form.say(f"const int32_t y = {_place(spec, 0)};")
        tests = _row_test(spec)
        with form.block(f"if ({tests})") if tests else nullcontext():
            if padded_sides:
                first = f"&x[(y * {spec.in_w} + left + first) * {channels}]"
                form.say(
                    f"total += {dot}({first}, &taps[first * {channels}], "
                    f"(last - first) * {channels});"
                )
                if spec.x_zero:
                    outside = form.calls("sum_of_weights")
                    form.say(
                        f"total += {spec.x_zero} * ({outside}(taps, first * {channels}) + "
                        f"{outside}(&taps[last * {channels}], ({width} - last) * {channels}));"
                    )
            else:
                start = f"(y * {spec.in_w} + ox * {spec.strides[1]}) * {channels}"
                form.say(f"total += {dot}(&x[{start}], taps, {row});")
        if tests and spec.x_zero:
            with form.block("else"):
                form.say(f"total += {spec.x_zero} * {form.calls('sum_of_weights')}(taps, {row});")
        form.say(f"taps += {row};")


def _row_test(spec: ConvSpec) -> str:
    found = ["(y >= 0)"] if spec.pads[0] else []
    if _last(spec, 0) >= spec.in_h:
        found.append(f"(y < {spec.in_h})")
    return " && ".join(found)


def _single_taps(form: Form, spec: ConvSpec) -> None:
    """Sums over the channels of one tap after the other."""
    size = spec.in_c // spec.group
    first = f" + c / {spec.out_c // spec.group} * {size}" if spec.group > 1 else ""
    with form.loop("ky", spec.kernel[0]):
        form.say(f"const int32_t y = {_place(spec, 0)};")
        with form.loop("kx", spec.kernel[1]):
            form.say(f"const int32_t column = {_place(spec, 1)};")
            start = f"(y * {spec.in_w} + column) * {spec.in_c}{first}"
            added = f"total += {form.calls('dot')}(&x[{start}], taps, {size});"
            tests = _tests(spec, "y", "column")
            if tests:
                with form.block(f"if ({tests})"):
                    form.say(added)
                if spec.x_zero:
                    with form.block("else"):
                        counted = f"{form.calls('sum_of_weights')}(taps, {size})"
                        form.say(f"total += {integer(spec.x_zero)} * {counted};")
            else:
                form.say(added)
            form.say(f"taps += {size};")
