"""Write docs/units.md, the units of the whole catalogue: python tools/units_page.py."""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from actc.approx.catalogue import CATALOGUE, FAMILIES

TOOLS = Path(__file__).resolve().parent
PAGE = TOOLS.parent / "docs" / "units.md"
sys.path.insert(0, str(TOOLS))

import units  # noqa: E402

Row = dict[str, Any]

_ABOUT = """\
# The catalogue as hardware units

{count} combinational units: {functions} of the {known} functions of [the catalogue](functions.md),
{widths}. For each one this page gives the smallest circuit that
was found, its largest error over all inputs, and what it takes on two families of FPGAs.

## Method

- **Formats.** `s8.4` is 8 bits, signed, 4 of them fraction. Inputs are in [-8, 8), or in [0, 8)
  for functions of positive numbers. The output has as many bits as the input; it is unsigned
  where the function is never negative, and has the fewest integer bits k, 0 to 6, with which
  |f| <= 2^k at all inputs. So f may exceed the largest code by one ulp (tanh and sigmoid reach
  1). Where it exceeds the codes by more, because |f| > 64 or f is infinite, the unit saturates;
  the number of such inputs is given, and errors refer to the saturated function. Functions are
  held at their end values outside their domains. Parameters are the usual ones of the
  catalogue.
- **Error.** Every unit is faithful: each output is one of the two codes around the function's
  value, the value itself where it is a code. The error is the largest distance of an output
  from the function, in real numbers and in ulps of the output, over all inputs. Functions
  are evaluated in float64.
- **Forms.** The forms of `actc fit` are fitted, each with the fewest pieces of its kind: plain,
  compressed and bipartite tables, thresholds, piecewise lines and power-of-two segment trees
  with slopes of 1, 2 or 3 signed digits or free slopes. Not tried are polynomials,
  though those of degree 2 can be smaller from 12 bits on, and at 16 bits plain and compressed
  tables and thresholds. Those that the cost model liked best when the unit was made ({most})
  were synthesized for iCE40, and the one with the fewest logic cells is listed. So another form
  may be smaller on another family, and no form is proven to be the smallest.
- **Costs.** {tools}, `synth_ice40` and `synth_xilinx -family xc7`, no hard
  multipliers, no block memories; look-up tables of any size and carry cells are counted as yosys
  counts them (an iCE40 carry cell stands for one bit, an xc7 CARRY4 for four), depth is the
  number of cells on the longest path. Not placed, not routed, no clock.
- **Equivalence.** The Verilog of every unit was simulated with Icarus Verilog at every input and
  compared with the bit-true form and with the function. A result is kept only if both agree.

`python tools/units.py` makes the results (`docs/data/units.jsonl`) and redoes what has
changed, `python tools/units_page.py` writes this page. `actc fit NAME --input FORMAT --output
FORMAT --ulp 1 --emit verilog` makes one unit.

## In short
"""
_SUMMARY = """\
| bits | units | median LUT4 | largest LUT4 | median LUT6 | largest LUT6 | forms |
|---|---|---|---|---|---|---|
"""
_TABLE = """\
| function | bits | input, output | form | pieces | max error | ulps | constants | \
LUT4 + carry | depth | LUT6 + carry | depth | saturated |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def page() -> str:
    """The text of the page."""
    rows = list(units.load().values())
    parts = [_about(rows), _SUMMARY + "".join(_summary(rows, bits) for bits in _widths(rows))]
    for family, entries in FAMILIES.items():
        names = [entry.name for entry in entries]
        own = [row for row in rows if row["function"] in names]
        if own:
            title = f"## {family[0].upper()}{family[1:]}\n\n"
            parts.append(title + _TABLE + "".join(_row(row, family) for row in own))
    return "\n".join(parts)


def _about(rows: list[Row]) -> str:
    counts = Counter(row["bits"] for row in rows)
    widths = ", ".join(f"{counts[bits]} at {bits} bits" for bits in sorted(counts))
    return _ABOUT.format(
        count=len(rows),
        functions=len({row["function"] for row in rows}),
        known=len(CATALOGUE),
        widths=widths,
        most=", ".join(_synthesized(bits) for bits in sorted(counts)),
        tools=", ".join(sorted({row["tool"] for row in rows})),
    )


def _synthesized(bits: int) -> str:
    most = units.SYNTHESIZED[bits]
    return f"{most if most > 1 else 'one'} at {bits} bits"


def _widths(rows: list[Row]) -> list[int]:
    return sorted({row["bits"] for row in rows})


def _summary(rows: list[Row], bits: int) -> str:
    own = [row for row in rows if row["bits"] == bits]
    cells = [str(bits), str(len(own))]
    for family in ("ice40", "xc7"):
        luts = [row["cost"][family]["luts"] for row in own]
        cells += [f"{statistics.median(luts):g}", str(max(luts))]
    forms = Counter(row["variant"] for row in own).most_common()
    cells.append("; ".join(f"{number} {name}" for name, number in forms))
    return _line(cells)


def _row(row: Row, family: str) -> str:
    anchor = family.lower().replace(" ", "-")
    ice40, xc7 = (row["cost"][family] for family in ("ice40", "xc7"))
    return _line(
        [
            f"[{row['function']}](functions.md#{anchor})",
            str(row["bits"]),
            f"{row['input']}, {row['output']}",
            row["variant"],
            str(row["pieces"]),
            f"{row['max_error']:.3g}",
            f"{row['max_error_ulp']:.3f}",
            str(row["storage_bits"]),
            f"{ice40['luts']} + {ice40['carries']}",
            str(ice40["depth"]),
            f"{xc7['luts']} + {xc7['carries']}",
            str(xc7["depth"]),
            str(row["saturated"] or ""),
        ]
    )


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
