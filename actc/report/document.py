"""report.json: the report as one JSON document."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

INFINITE = "infinite"


def render_json(report: Mapping[str, Any]) -> str:
    """Return report.json: strict JSON, keys in the order given.

    NaN becomes null and an infinite number a text, as JSON has no such numbers.
    """
    return json.dumps(strict(report), indent=2, allow_nan=False) + "\n"


def strict(value: Any) -> Any:
    """A copy of `value` for JSON.

    An infinite number becomes the text "infinite" or "-infinite", for an error can be so: where
    one of two outputs is NaN, say. NaN itself becomes null: nothing is known.
    """
    if isinstance(value, Mapping):
        return {str(k): strict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(v) for v in value]
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    if not isinstance(value, float) or math.isfinite(value):
        return value
    if math.isnan(value):
        return None
    return INFINITE if value > 0 else f"-{INFINITE}"
