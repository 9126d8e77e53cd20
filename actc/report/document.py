"""report.json: the report as one JSON document."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def render_json(report: Mapping[str, Any]) -> str:
    """Return report.json: strict JSON, keys in the order given.

    A number that is not finite becomes null, as JSON has no such number.
    """
    return json.dumps(_strict(report), indent=2, allow_nan=False) + "\n"


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _strict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(v) for v in value]
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
