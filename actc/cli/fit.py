"""actc fit: one scalar function in the best form, in float32 or in fixed point."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

import actc
from actc.cli.cache import NoCache, caching
from actc.cli.console import progress
from actc.cli.fit_table import fixed_table, float_table, pieces_table, reasons, rms_table
from actc.cli.options import Debug, Json
from actc.cli.outcome import Outcome, judged
from actc.errors import ExitStatus
from actc.report.format import visible

_PIECES = {"table": "entries", "tree": "leaves"}
"""What the pieces of a form are called; elsewhere segments."""


def run(
    function: Annotated[
        str,
        typer.Argument(
            metavar="NAME|EXPRESSION|MODEL.onnx:SITE",
            help="GELU, 'ELU(0.5)', 'x*sigmoid(1.702*x)', a site that `actc inspect` lists, or a "
            "structured function: 'Softmax[16]'",
        ),
    ],
    input: Annotated[
        str | None,
        typer.Option(metavar="s8.4", help="input format: 8 signed bits, 4 of them fraction"),
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="s8.4", help="output format; with both, fixed point")
    ] = None,
    domain: Annotated[
        str | None,
        typer.Option(
            metavar="LO,HI", help="where to fit without formats (default -8,8; -inf,inf works)"
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            metavar="FORM",
            help="auto, pwl, tree or table; without formats also pwl-continuous, with formats "
            "also compressed, bipartite, thresholds or polynomial",
        ),
    ] = "auto",
    segments: Annotated[
        int | None, typer.Option(metavar="N", help="least error of at most so many pieces")
    ] = None,
    max_error: Annotated[
        float | None, typer.Option(metavar="E", help="error to stay within, instead of --segments")
    ] = None,
    ulp: Annotated[
        float | None,
        typer.Option(metavar="0.5|1", help="correctly rounded, or faithful (default with formats)"),
    ] = None,
    digits: Annotated[
        int | None,
        typer.Option(metavar="1|2|3", help="slopes of so many signed digits; no multiplier"),
    ] = None,
    degree: Annotated[
        int | None, typer.Option(metavar="2|3", help="degree of --form polynomial")
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="FAMILY", help="whose costs decide: ice40, ecp5, gowin or xc7 (default ecp5)"
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(metavar="max|rms", help="least largest error, or least weighted rms"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="WEIGHTS",
            help="of --objective rms: normal (default), uniform, or FILE.npz with x and weight",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png|.svg|.html", help="draw function, form and error"),
    ] = None,
    emit: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="write the form with -o: onnx, numpy or c; with formats also verilog or hls",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("-o", metavar="FILE", help="what --emit writes")
    ] = None,
    no_cache: NoCache = False,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Approximate a scalar function in the best form, with a certificate of the error."""
    with caching(no_cache), progress() as show:
        found = actc.fit(
            function,
            domain,
            input=input,
            output=output,
            form=form,
            segments=segments,
            max_error=max_error,
            ulp=ulp,
            digits=digits,
            degree=degree,
            device=device,
            objective=objective,
            weights=weights,
            plot=plot,
            emit=emit,
            file=file,
            progress=show,
        )
    document = found.to_json()
    written = [path for path in (file, plot) if path is not None]
    view = _view(document)
    wrote = [Text(f"  wrote {visible(str(path))}") for path in written]
    return judged(document, Group(*view, *wrote), ExitStatus.BUDGET_MISSED)


def _view(found: Mapping[str, Any]) -> list[RenderableType]:
    if found.get("objective") == "rms":
        return _rms_view(found)
    if "domain" in found:
        return _float_view(found)
    return _structured_view(found) if found["form"] == "structured" else _fixed_view(found)


def _float_view(found: Mapping[str, Any]) -> list[RenderableType]:
    rows = {
        "form": f"{found['form']}, {_count(found)}",
        **_float_errors(found),
        "lower bound": _float_bound(found),
        "certificate": _verdict(found),
        "took": f"{found['seconds']:.3f} seconds",
    }
    title = f"{visible(found['function'])} on {_domain(found)}"
    return [_head(title), _facts(rows), *float_table(found["alternatives"]), *_reasons(found)]


def _count(found: Mapping[str, Any]) -> str:
    name = _PIECES.get(found["form"], "segments")
    singular = {"entries": "entry", "leaves": "leaf", "segments": "segment"}[name]
    return f"{found['segments']} {singular if found['segments'] == 1 else name}"


def _float_bound(found: Mapping[str, Any]) -> str:
    aside = " (not in the certificate)" if found["bounds"] == "leaves" else ""
    return f"{found['lower_bound']:.9g}, {_ratio(found):.6f} of the error{aside}"


def _float_errors(found: Mapping[str, Any]) -> dict[str, str]:
    between = f"between the samples too at most {found['between_samples']:.6g}"
    if found["core"] == found["domain"]:
        return {"max error": f"{found['max_error']:.9g}, {between}"}
    low, high = found["core"]
    return {
        "max error": f"{found['max_error']:.9g}, in [{low:g}, {high:g}] {between}",
        "beyond": "as far as 2^40, errors count less one unit in the last place of the value",
    }


def _rms_view(found: Mapping[str, Any]) -> list[RenderableType]:
    rows = {
        "form": f"pwl, {_count(found)}, {found['weights']} weights",
        "rms": f"{found['rms']:.9g}, mean squared error {found['mse']:.6g}",
        "lower bound": f"{found['lower_bound']:.9g} of the rms, for as many segments",
        "max error": f"{found['max_error']:.9g}",
        "certificate": "none: found by exact dynamic programming over all segmentations",
        "took": f"{found['seconds']:.3f} seconds",
    }
    title = f"{visible(found['function'])} on {_domain(found)}"
    return [_head(title), _facts(rows), *rms_table(found["alternatives"])]


def _domain(found: Mapping[str, Any]) -> str:
    low, high = map(float, found["domain"])
    return f"[{low:g}, {high:g}]"


def _reasons(found: Mapping[str, Any]) -> list[Text]:
    return [Text(f"  - {variant}: {reason}") for variant, reason in reasons(found).items()]


def _fixed_view(found: Mapping[str, Any]) -> list[RenderableType]:
    rows = {
        "asked for": _asked(found),
        "max error": f"{found['max_error']:.9g}, {found['max_error_ulp']:.6f} ulp",
        **_claims(found),
        "certificate": _verdict(found),
    }
    title = f"{visible(found['function'])} from {found['input']} to {found['output']}"
    return [_head(title), fixed_table(found), *_reasons(found), Text(""), _facts(rows)]


def _structured_view(found: Mapping[str, Any]) -> list[RenderableType]:
    terms = {name: f"{term:.9g}" for name, term in found["terms"].items()}
    bound = f"{found['max_error']:.9g}, {found['max_error_ulp']:.6f} ulp: the sum of its terms"
    title = f"{visible(found['function'])} from {found['input']} to {found['output']}"
    rows = {"bound": bound, **terms, "took": f"{found['seconds']:.3f} seconds"}
    pieces = found["pieces"]
    fits = pieces_table(pieces) if pieces else Text("  no fits: additions and comparisons only")
    return [_head(title), fits, Text(""), _facts(rows)]


def _asked(found: Mapping[str, Any]) -> str:
    objective = found["objective"]
    if objective == "least_error":
        return f"the least error of at most {found['most_segments']} pieces"
    if isinstance(objective, float):
        return f"an error of at most {objective:g}, over every input"
    words = {"correctly_rounded": "correctly rounded (0.5 ulp)", "faithful": "faithful (1 ulp)"}
    return f"{words[objective]} over every input"


def _claims(found: Mapping[str, Any]) -> dict[str, str]:
    """What is proved of the chosen form, besides its error."""
    certificate, bound = found["certificate"], f"{found['lower_bound']:.9g}"
    kind = found["variant"]
    if "least" in certificate:
        claim = f"no {kind} of {certificate['least']['pieces']} pieces has a smaller error"
        return {"lower bound": f"{bound}: {claim}"}
    claims = {"lower bound": f"{bound}: no form with these formats has a smaller error"}
    fewest = certificate.get("fewest", {}).get("pieces")
    if fewest is not None:
        claims["fewest"] = f"{kind} needs {fewest} pieces at least"
    return claims


def _ratio(found: Mapping[str, Any]) -> float:
    return found["lower_bound"] / found["max_error"] if found["max_error"] else 1.0


def _verdict(found: Mapping[str, Any]) -> str:
    verdict = "accepted" if found["certified"] else "REJECTED"
    return f"{verdict} by the independent checker, in exact rational arithmetic"


def _head(title: str) -> Text:
    return Text(f"{title}\n", style="bold")


def _facts(rows: Mapping[str, str]) -> Text:
    return Text("\n".join(f"  {name:11}  {value}" for name, value in rows.items()) + "\n")
