"""Programs in the place of Intel's i++ and Quartus: what they leave behind."""

from __future__ import annotations

import json

FOLDER = "net-fpga.prj"
AREA = {
    "columns": ["", "ALUTs", "FFs", "RAMs", "DSPs", "MLABs", "Details"],
    "total_percent": [3.2, 1.6, 1.6, 3.2, 0],
    "total": [13342.5, 33889, 251, 0, 117],
    "name": "Kernel System",
    "max_resources": [854400, 1708800, 2713, 1518, 0],
}
LOOPS = {
    "name": "loop_attributes",
    "nodes": [
        {
            "name": "net",
            "fmax": "200.00",
            "children": [
                {"af": "240.00", "ii": "1", "children": [{"af": "212.50", "ii": "n/a"}]},
                {"af": "n/a"},
            ],
        }
    ],
}
COUNTS = {"alm": "58,968.5", "reg": "97,925", "dsp": "12", "ram": "926", "mlab": "3"}


def area_report(area: object = AREA, loops: object = LOOPS) -> str:
    """`report_data.js`, as acl/Report.pm writes it: one line each, with a few escapes."""
    escaped = json.dumps({"nodes": ["~"]}).replace("~", "const::\\'lambda\\'() \\015\\\\n")
    lines = [
        f"var areaJSON={json.dumps(area)};",
        f"var area_srcJSON={escaped};",
        f"var loop_attrJSON={json.dumps(loops)};",
        'var fileJSON=[{"path":"net.cpp", "content":"var x=1;\\u000A"}];',
        "var alpha_viewer=false;",
    ]
    return "\n".join(lines)


def fit_report(clock: object = "212.26", counts: object = COUNTS) -> str:
    """`quartus_data.js`, as quartus_resource_json_writer.tcl writes it."""
    whole = {"type": "system", "id": "1000", "name": "Quartus Fitter: Full Design (All Components)"}
    own = {"type": "component", "id": "1010", "name": "net"}
    nodes = [{**own, **COUNTS}, {**whole, **counts}] if isinstance(counts, dict) else []
    report = {
        "quartusFitClockSummary": {"nodes": [{"name": "Clock", "clock": clock}]},
        "quartusFitResourceUsageSummary": {"nodes": nodes},
    }
    return f"var quartusJSON={json.dumps(report)};\n"


def compiler(area: str | None = None, fit: str | None = None) -> str:
    """The body of an i++ that makes a component and Quartus' project."""
    texts = {
        "components/net/net.ip": "<component/>",
        "quartus/quartus_compile.qpf": "PROJECT_REVISION = quartus_compile",
        "reports/lib/report_data.js": area_report() if area is None else area,
        "reports/lib/quartus_data.js": fit_report("TBD") if fit is None else fit,
    }
    return "print('arguments', sys.argv[1:])\n" + "".join(
        f"write({f'{FOLDER}/{name}'!r}, {text!r})\n" for name, text in texts.items()
    )


def fitter(text: str | None = None) -> str:
    """The body of a Quartus; it runs in its project's folder."""
    report = fit_report() if text is None else text
    return (
        "print(sys.argv[1:], pathlib.Path.cwd().name)\n"
        f"write('../reports/lib/quartus_data.js', {report!r})"
    )
