"""Fixed-point forms as files: C, HLS C++, Python modules, ONNX models.

Every form is lowered to one program of integer steps, which is checked against the
form at every input code; the writers of the languages only spell its steps. Equal
forms give equal bytes.
"""

from __future__ import annotations

from actc.approx.gates import FixedForm
from actc.emitters.c_integer import write_c
from actc.emitters.hls import write_hls
from actc.emitters.lowering import lower
from actc.emitters.numpy_module import write_numpy
from actc.emitters.onnx_model import write_onnx
from actc.emitters.text import Header, identifier

_WRITERS = {"c": write_c, "hls": write_hls, "numpy": write_numpy, "onnx": write_onnx}
FIXED_KINDS = tuple(_WRITERS)
"""What :func:`emit_fixed` can write."""


def emit_fixed(kind: str, form: FixedForm, name: str, *, function: str, max_error: float) -> bytes:
    """A fixed-point form as the content of a file that computes ``form.evaluate``.

    Args:
        kind: one of `FIXED_KINDS`.

            - "c": C99, one function ``intN_t name(intM_t x)`` of codes;
            - "hls": C++ for Vitis HLS, ``ap_int<n> name(ap_int<m> x)`` of codes;
            - "numpy": a module that needs numpy alone, ``evaluate(codes)``;
            - "onnx": a model of standard operators, float32 x [n] -> y [n], which
              quantizes x (ties to even, saturating) and dequantizes y. y is exact for
              output formats of up to 24 bits. NaN stays NaN.
        name: of the function or graph; made an identifier.
        function: what is approximated, for the comment at the top.
        max_error: largest absolute error, for the same.

    Raises:
        ValueError: an unknown kind.
        UsageError: ACT0370, there is no code for this kind of form; ACT0371, an output
            leaves the output format, or the input has more than 16 bits.
    """
    if kind not in _WRITERS:
        raise ValueError(f"the kind is one of {', '.join(FIXED_KINDS)}, not {kind!r}")
    header = Header(function, float(max_error), str(form.to_json()["form"]))
    return _WRITERS[kind](lower(form), identifier(name), header)
