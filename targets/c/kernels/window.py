"""Windows that walk over a map."""

from __future__ import annotations

from actc.targets.c.form import Form
from actc.targets.tvm.kernels.spec import ConvSpec
from actc.targets.tvm.kernels.strided import MaxPool


def window_ends(form: Form, spec: ConvSpec | MaxPool, axis: int, out: str, size: int) -> None:
    """Lines for a window's place along an axis: where it starts, and which taps lie inside the map.

    Args:
        axis: 0 for rows, which gives start_y, first_y and last_y (the one behind the last tap);
            1 for columns.
        out: the variable of the output's row or column.
        size: of the map.
    """
    taps, step, pad = spec.kernel[axis], spec.dilations[axis], spec.pads[axis]
    stride, name = spec.strides[axis], "yx"[axis]
    count = (spec.out_h, spec.out_w)[axis]
    start = out if stride == 1 else f"{out} * {stride}"
    form.say(f"const int32_t start_{name} = {start}{f' - {pad}' if pad else ''};")
    first, last = "0", str(taps)
    if pad:
        first = f"{form.calls('within')}(({step - 1} - start_{name}) / {step}, 0, {taps})"
    if (count - 1) * stride - pad + (taps - 1) * step >= size:
        last = f"({size + step - 1} - start_{name}) / {step}"
        last = f"{form.calls('within')}({last}, first_{name}, {taps})"
    form.say(f"const int32_t first_{name} = {first};", f"const int32_t last_{name} = {last};")
