"""What a text names: a published function, an expression of x, or a site of a model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from actc.approx.expression import parse_expression
from actc.approx.function import ScalarFunction
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.ir.sites import Site
from actc.site_functions import recognized_sites

FunctionLike = str | ScalarFunction | Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]

_SITE = re.compile(r"(?P<file>.*\.onnx)(?::(?P<site>[^:\[\]]*)(?:\[(?P<channel>\d+)\])?)?", re.S)


def resolve(function: FunctionLike, model: str | Path | None = None) -> ScalarFunction:
    """The scalar function that `function` stands for.

    Args:
        function: ``GELU``, ``ELU(0.5)``, ``x*tanh(x)``, ``MODEL.onnx:a1`` (``:a1[3]`` is
            channel 3 of a family), or a callable from float64 [n] to [n].
        model: the file to read for ``MODEL.onnx:a1``, whatever that text says.

    Raises:
        UsageError: ACT0330..ACT0332, see `actc.approx.expression`; ACT0336, no such site.
        ModelError: the model is broken.
    """
    if isinstance(function, ScalarFunction):
        return function
    if not isinstance(function, str):
        return ScalarFunction(getattr(function, "__name__", "function"), function)
    named = _SITE.fullmatch(function.strip())
    if named is None:
        return parse_expression(function).function()
    file, site = Path(named["file"]) if model is None else Path(model), named["site"]
    sites = recognized_sites(file)
    channel = None if named["channel"] is None else int(named["channel"])
    return site_function(sites, site or "", channel, Path(named["file"]).name)


def names_a_site(function: str) -> bool:
    """Whether `function` is written like a site of a model."""
    return _SITE.fullmatch(function.strip()) is not None


def site_function(
    sites: Mapping[str, Site], name: str, channel: int | None, file: str
) -> ScalarFunction:
    """The function of site `name`, or of one channel of it.

    Raises:
        UsageError: ACT0336, no such site or channel, or a family without a channel.
    """
    site = sites.get(name)
    if site is None:
        known = ", ".join(f"{s.id} ({s.label})" for s in sites.values() if not s.affine)
        message = f"the model has no site '{name}'" if name else "no site of the model is named"
        help_text = f"write {file}:SITE; sites: {known}" if known else "it has no activations"
        raise UsageError(Diagnostic("ACT0336", message, place=Place(file), help=help_text))
    count = site.function.channels
    if channel is None and count > 1:
        message = f"site '{name}' is a family of {count} functions, one per channel"
        help_text = f"name a channel: {file}:{name}[0]"
        raise UsageError(Diagnostic("ACT0336", message, place=Place(file), help=help_text))
    if channel is not None and channel >= count:
        message = f"site '{name}' has no channel {channel}"
        help_text = f"its channels are 0..{count - 1}"
        raise UsageError(Diagnostic("ACT0336", message, place=Place(file), help=help_text))
    title = f"{file}:{name}" + ("" if channel is None else f"[{channel}]")
    return ScalarFunction(title, site.function.channel(channel or 0))
