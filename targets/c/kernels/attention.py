"""Products of two activations, and softmax."""

from __future__ import annotations

import numpy as np

from actc.targets.c.form import Form, index
from actc.targets.c.kernels.elementwise import source_of
from actc.targets.c.kernels.finish import finish
from actc.targets.c.program import Program
from actc.targets.tvm.kernels.attention_spec import BatchMatMul, MaskedSoftmax
from actc.targets.tvm.kernels.strided import Softmax
from actc.targets.tvm.plan import Call


def batch_matmul(kernel: BatchMatMul, call: Call, program: Program) -> Form:
    """The function of a product of two activations."""
    form = Form(kernel.out.dtype)
    form.reads("a", source_of(call.inputs[0], program, "uint8"), "uint8")
    form.reads("b", source_of(call.inputs[1], program, "uint8"), "uint8")
    tail = finish(
        form, program, call.inputs[2:], kernel.inputs, kernel.out, kernel.requantize, kernel.table
    )
    with form.loops(kernel.dims) as variables:
        form.say("int32_t total = 0;")
        with form.loop("k", kernel.depth):
            a, b = (index(o, [*variables, "k"]) for o in (kernel.a, kernel.b))
            left = f"((int32_t)a[{a}] - {kernel.a_zero})"
            form.say(f"total += {left} * ((int32_t)b[{b}] - {kernel.b_zero});")
        tail.store("total", variables)
    return form


def softmax(kernel: Softmax, call: Call, program: Program) -> Form:
    """The function of IntSoftmax, which gives bits of float32, or of IntProbabilities."""
    form = Form(kernel.out.dtype)
    form.reads("x", call.inputs[0], "uint8")
    form.reads("powers", program.constants[call.inputs[1]].astype(np.int32), "int32")
    with form.loops(kernel.dims[:-1]) as outer:
        place = index(kernel.x, [*outer, "c"])
        count = kernel.dims[-1]
        form.say("uint8_t largest = 0;")
        with form.loop("c", count):
            form.say(f"largest = (x[{place}] > largest) ? x[{place}] : largest;")
        form.say("uint32_t total = 0;")
        with form.loop("c", count):
            form.say(f"total += (uint32_t)powers[largest - x[{place}]];")
        with form.loop("c", count):
            power = f"(uint32_t)powers[largest - x[{place}]]"
            if kernel.bits:
                value = f"{form.calls('probability')}({power}, total, {kernel.bits})"
            else:
                value = f"{form.calls('ratio')}({power}, total)"
            form.say(f"out[{index(kernel.out, [*outer, 'c'])}] = {value};")
    return form


def masked_softmax(kernel: MaskedSoftmax, call: Call, program: Program) -> Form:
    """The function of IntMaskedSoftmax: bits of float32."""
    form = Form("float32")
    form.reads("x", call.inputs[0], "uint8")
    hidden = kernel.hidden.dtype
    form.reads("hidden", source_of(call.inputs[1], program, hidden), hidden)
    form.reads("powers", program.constants[call.inputs[2]].astype(np.int32), "int32")
    with form.loops(kernel.dims[:-1]) as outer:
        place, mask = (index(o, [*outer, "c"]) for o in (kernel.x, kernel.hidden))
        count = kernel.dims[-1]
        shown = f"(hidden[{mask}] == 0)"
        form.say("int32_t largest = -1;", "int32_t highest = 0;")
        with form.loop("c", count):
            form.say(
                f"const int32_t code = x[{place}];",
                "highest = (code > highest) ? code : highest;",
                f"largest = ({shown} && (code > largest)) ? code : largest;",
            )
        form.say("uint32_t total = 0;")
        for step in ("add", "store"):
            with form.loop("c", count):
                form.say(f"const int32_t code = x[{place}];", "uint32_t power = 0;")
                with form.block("if (largest < 0)"):
                    form.say(f"power = {_alone(kernel.empty)};")
                with form.block(f"else if {shown}"):
                    form.say("power = (uint32_t)powers[largest - code];")
                if step == "add":
                    form.say("total += power;")
                else:
                    ratio = f"{form.calls('ratio')}(power, (total > 0u) ? total : 1u)"
                    form.say(f"out[{index(kernel.out, [*outer, 'c'])}] = {ratio};")
    return form


def _alone(empty: int) -> str:
    """The power of an entry whose whole row is hidden."""
    powers = ("(uint32_t)powers[0]", "(uint32_t)powers[highest - code]", "0")
    return powers[empty]
