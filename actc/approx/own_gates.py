"""The gates of a fit's own error, for fits that look for the least one."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, TypeVar

from actc.approx.function import ScalarFunction
from actc.approx.gates import FixedFit, make_gates

Fit = TypeVar("Fit", bound=FixedFit[Any])


def with_own_gates(f: ScalarFunction, fit: Fit) -> Fit:
    """The fit with the gates of the error that it attains, instead of a larger one.

    :func:`~actc.approx.gates.least_error` asks for an error and may get a smaller one.

    Args:
        f: the function that was fitted.
    """
    error = math.nextafter(fit.max_error, math.inf)  # the distances are rounded themselves
    return replace(fit, gates=make_gates(f, fit.form.input, fit.form.output, error))
