"""Layers of signs: XOR and population count over words of 32 bits."""

from __future__ import annotations

import numpy as np

from actc.targets.c.form import Form
from actc.targets.c.program import Array, Program
from actc.targets.tvm.kernels.binary_spec import WORD, BinaryConv, Pack, Unpack, words
from actc.targets.tvm.plan import Call


def binary_conv(spec: BinaryConv, call: Call, program: Program) -> Form:
    """The function of a convolution of signs."""
    signs, base = (program.constants[name] for name in call.inputs[1:3])
    bits = spec.result == "bits"
    form = Form("uint32" if bits else "int32")
    form.reads("x", call.inputs[0], "uint32")
    form.reads("signs", words_of(signs > 0), "uint32")
    if spec.ternary:
        form.reads("mask", words_of(signs != 0), "uint32")
    form.reads("base", base.astype(np.int32).reshape(-1), "int32")
    if spec.classes > 1:
        rows = program.constants[call.inputs[3]]
        kind = "uint8" if rows.max() < 256 else "int32"
        form.reads("kinds", rows.astype(kind), kind)
    with form.loop("oy", spec.out_h), form.loop("ox", spec.out_w):
        form.say(f"const int32_t pixel = oy * {spec.out_w} + ox;")
        row = f"kinds[pixel] * {spec.out_c} + c" if spec.classes > 1 else "c"
        if bits:
            with form.loop("word", words(spec.out_c)):
                form.say(
                    "uint32_t found = 0;",
                    f"const int32_t left = {spec.out_c} - word * {WORD};",
                    f"const int32_t used = (left < {WORD}) ? left : {WORD};",
                )
                with form.loop("bit", "used"):
                    form.say(f"const int32_t c = word * {WORD} + bit;")
                    _count(form, spec)
                    test = f"(count <= base[{row}]) ? ((uint32_t)1 << bit) : 0u"
                    form.say(f"found |= {test};")
                form.say(f"out[pixel * {words(spec.out_c)} + word] = found;")
        else:
            with form.loop("c", spec.out_c):
                _count(form, spec)
                form.say(f"out[pixel * {spec.out_c} + c] = base[{row}] - {spec.step} * count;")
    return form


def _count(form: Form, spec: BinaryConv) -> None:
    """Lines that count the differing signs of channel `c`."""
    depth = words(spec.in_c)
    taps = spec.kernel[0] * spec.kernel[1] * depth
    ones = form.calls("ones")
    form.say("int32_t count = 0;", f"int32_t at = c * {taps};")
    masked = " & mask[at]" if spec.ternary else ""
    with form.loop("ky", spec.kernel[0]), form.loop("kx", spec.kernel[1]):
        form.say(
            f"const int32_t y = oy * {spec.strides[0]} + ky * {spec.dilations[0]} "
            f"- {spec.pads[0]};",
            f"const int32_t column = ox * {spec.strides[1]} + kx * {spec.dilations[1]} "
            f"- {spec.pads[1]};",
            f"const int32_t start = (y * {spec.in_w} + column) * {depth};",
        )
        tests = f"(y >= 0) && (y < {spec.in_h}) && (column >= 0) && (column < {spec.in_w})"
        form.say(f"const int32_t inside = ({tests}) ? 1 : 0;")
        with form.loop("k", depth):
            form.say(
                "const uint32_t word_of_x = (inside != 0) ? x[start + k] : 0u;",
                f"count += {ones}((word_of_x ^ signs[at]){masked});",
                "at++;",
            )


def words_of(bits: Array) -> Array:
    """Booleans (O, C, kh, kw) as words of 32 channels, (O, kh, kw, words), flat."""
    taps = np.moveaxis(bits, 1, -1)
    full = np.zeros((*taps.shape[:-1], words(taps.shape[-1]) * WORD), bool)
    full[..., : taps.shape[-1]] = taps
    packed: Array = np.packbits(full, axis=-1, bitorder="little").view("<u4").reshape(-1)
    return packed


def pack(spec: Pack, call: Call, program: Program) -> Form:
    """The function that turns codes or sums into bits."""
    form = Form("uint32")
    form.reads("x", call.inputs[0], spec.dtype)
    if spec.each:
        form.reads("points", program.constants[call.inputs[1]].astype(np.int32), "int32")
        form.reads("flips", program.constants[call.inputs[2]].astype(np.uint32), "uint32")
    depth = words(spec.channels)
    with form.loop("pixel", spec.height * spec.width), form.loop("word", depth):
        form.say(
            f"const int32_t left = {spec.channels} - word * {WORD};",
            f"const int32_t used = (left < {WORD}) ? left : {WORD};",
            "uint32_t found = 0;",
        )
        with form.loop("bit", "used"):
            form.say(f"const int32_t c = word * {WORD} + bit;")
            value = f"x[pixel * {spec.lanes} + c]"
            test = f"{value} >= points[c]" if spec.each else f"{value} > {spec.above}"
            form.say(f"found |= ({test}) ? ((uint32_t)1 << bit) : 0u;")
        flipped = " ^ flips[word]" if spec.each else ""
        form.say(f"out[pixel * {depth} + word] = found{flipped};")
    return form


def unpack(spec: Unpack, call: Call, program: Program) -> Form:
    """The function that turns bits into codes."""
    form = Form("uint8")
    form.reads("x", call.inputs[0], "uint32")
    depth = words(spec.channels)
    with form.loop("pixel", spec.height * spec.width), form.loop("c", spec.channels):
        form.say(f"const uint32_t word = x[pixel * {depth} + c / {WORD}] >> (c % {WORD});")
        form.say(
            f"out[pixel * {spec.channels} + c] = ((word & 1u) != 0u) ? {spec.high} : {spec.low};"
        )
    return form
