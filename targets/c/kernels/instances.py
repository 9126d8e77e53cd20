"""Thresholds of the sample: sums of powers, a threshold by bisection, comparisons.

Numbers of many bits are limbs of 20 bits in int64_t, as golden has them.
"""

from __future__ import annotations

import numpy as np

from actc.numerics.limbs import PLACES
from actc.targets.c.form import Form, index
from actc.targets.c.program import Program
from actc.targets.tvm.kernels.instance_spec import InstanceSteps
from actc.targets.tvm.plan import Call

_ARGUMENTS = ("weights", "factor", "slope", "offset", "turned")


def instance_steps(spec: InstanceSteps, call: Call, program: Program) -> Form:
    """The function of InstanceSteps."""
    form = Form(spec.out.dtype)
    form.reads("x", call.inputs[0], spec.x.dtype)
    for title, name in zip(_ARGUMENTS, call.inputs[1:6], strict=True):
        form.reads(title, program.constants[name].astype(np.int64), "int64")
    form.reads("values", program.constants[call.inputs[6]], "uint8")
    form.stack = 8 * (spec.digits + spec.limbs)
    form.say(f"int64_t statistic[{spec.digits}];", f"int64_t level[{spec.limbs}];")
    if spec.shared:
        _clear(form, spec)
        with form.loop("c", spec.channels):
            _add(form, spec)
        with form.loop("c", spec.channels):
            _decide(form, spec)
    else:
        with form.loop("c", spec.channels):
            _clear(form, spec)
            _add(form, spec)
            _decide(form, spec)
    return form


def _clear(form: Form, spec: InstanceSteps) -> None:
    with form.loop("place", spec.digits):
        form.say("statistic[place] = 0;")


def _add(form: Form, spec: InstanceSteps) -> None:
    """Add what channel `c` gives to the statistic."""
    form.calls("high_limbs")
    for number, power in enumerate(spec.powers):
        with form.block(""):
            form.say("int64_t sum = 0;")
            with form.loops(spec.positions) as place:
                form.say(f"const int64_t value = x[{index(spec.x, ['c', *place])}];")
                form.say(f"sum += {' * '.join(['value'] * power)};")
            form.say(
                f"const int64_t *row = &weights[(c * {len(spec.powers)} + {number}) * "
                f"{PLACES * spec.digits}];"
            )
            with form.loop("place", spec.digits):
                for digit in range(PLACES):
                    shown = f"high_limbs(sum, {digit})" if digit else "sum"
                    if digit < PLACES - 1:
                        shown = f"{form.calls('low_limb')}({shown})"
                    form.say(f"statistic[place] += {shown} * row[{digit * spec.digits} + place];")
    form.say(f"{form.calls('carry')}(statistic, {spec.digits});")


def _decide(form: Form, spec: InstanceSteps) -> None:
    """Find where the signs of channel `c` change, and compare its accumulators with that."""
    row = spec.limbs * (spec.channels if spec.shared else 1)
    first = f" + c * {spec.limbs}" if spec.shared else ""
    with form.loop("place", spec.limbs):
        form.say(f"level[place] = offset[c * {spec.limbs} + place];")
        with form.loop("digit", spec.digits):
            at = f"digit * {row} + place{first}"
            form.say(f"level[place] += factor[{at}] * statistic[digit];")
    carry, reached = form.calls("carry"), form.calls("reached")
    slope = f"&slope[c * {spec.limbs}], {spec.limbs}, turned[c], {spec.bits}"
    form.say(
        f"{carry}(level, {spec.limbs});",
        f"const int64_t lower = {reached}(level, {slope}, 0);",
        f"const int64_t upper = {reached}(level, {slope}, 1);",
        "const uint8_t below = values[1 - turned[c]];",
        "const uint8_t above = values[1 + turned[c]];",
    )
    with form.loops(spec.positions) as place:
        walk = ["c", *place]
        form.say(
            f"const int64_t value = x[{index(spec.x, walk)}];",
            f"out[{index(spec.out, walk)}] = (value < lower) ? below : "
            "((value >= upper) ? above : values[1]);",
        )
