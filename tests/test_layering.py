"""Who may import whom: the layers of docs/internals.md, read from the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# What every layer may use, and what each may use besides itself. A module that is
# not named here (compiler.py, the public API) may join anything but the command line.
TOOLS = {"actc.toolchain", "actc.tool_results", "actc.guarding"}
COMMON = {"actc.diagnostics", "actc.errors", "actc.codes", "actc.registry"} | TOOLS
ALLOWED = {
    "actc.diagnostics": set[str](),
    "actc.errors": {"actc.diagnostics"},
    "actc.codes": set[str](),
    "actc.registry": {"actc.diagnostics", "actc.errors"},
    "actc.toolchain": {"actc.diagnostics", "actc.errors", "actc.guarding", "actc.awaiting"},
    "actc.tool_results": {"actc.diagnostics", "actc.errors"},
    "actc.cache": {"actc.diagnostics", "actc.errors"},
    "actc.numerics": COMMON,
    "actc.approx": COMMON | {"actc.numerics"},
    "actc.ir": COMMON | {"actc.numerics"},
    "actc.calibrate": COMMON | {"actc.ir", "actc.numerics", "actc.data"},
    "actc.passes": COMMON
    | {"actc.ir", "actc.approx", "actc.numerics", "actc.calibrate", "actc.data"},
    # The host's side of a board: what it knows of a network is in interface.json, which
    # the targets write by its own types.
    "actc.device": COMMON,
    "actc.targets": COMMON
    | {"actc.ir", "actc.approx", "actc.numerics", "actc.device", "actc.cache"},
    # The cost of a form is counted over the unit that its hardware is built from.
    "actc.cost": COMMON | {"actc.approx", "actc.numerics", "actc.targets"},
    "actc.report": COMMON,
    "actc.doctor": COMMON | {"actc.targets"},
    # Of actc.approx only the catalogue, which `actc functions` shows.
    "actc.cli": COMMON
    | {"actc", "actc.cache", "actc.doctor", "actc.report", "actc.targets", "actc.approx"},
}
# What a single part may use beyond its layer. Functions in networks take the form that is
# estimated to be cheapest, and the estimate is counted over targets.fpga.hdl, which knows
# nothing of functions: no import is circular. Estimates of whole networks count by the same rules.
BEYOND = {
    "actc.targets.fpga.functions": {"actc.cost"},
    "actc.targets.fpga.estimate": {"actc.cost"},
    "actc.targets.fpga.folded.functions": {"actc.cost"},
}
FILES = sorted(
    path
    for folder in ("actc", "passes", "targets")
    for path in (ROOT / folder).rglob("*.py")
    if not path.relative_to(ROOT).as_posix().startswith(("actc/passes/", "actc/targets/"))
)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts if parts[0] == "actc" else ("actc", *parts))
    return name.removesuffix(".__init__")


def layer_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def imports(path: Path) -> list[tuple[int, str]]:
    """Line and module of every import, also of those inside functions."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            base = str(node.module)
            # `from actc import doctor` may name a module of the package.
            names = [f"actc.{alias.name}" for alias in node.names] if base == "actc" else []
            modules = [name for name in names if is_module(name)]
            found += [(node.lineno, name) for name in modules or [base]]
    return found


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


def violations(module: str, found: list[tuple[int, str]]) -> list[str]:
    layer = layer_of(module)
    if layer in ("actc", "actc.__main__"):
        return []
    allowed = ALLOWED.get(layer)
    for part, more in BEYOND.items():
        if allowed is not None and f"{module}.".startswith(f"{part}."):
            allowed = allowed | more
    bad = []
    for line, name in found:
        if name.split(".")[0] != "actc" or layer_of(name) == layer:
            continue
        if allowed is None:
            if layer_of(name) == "actc.cli":
                bad.append(f"line {line}: {module} imports the command line")
        elif layer_of(name) not in allowed:
            bad.append(f"line {line}: {module} imports {name}")
    return bad


def test_sources_are_found() -> None:
    modules = {module_of(path) for path in FILES}
    assert {"actc.errors", "actc.passes", "actc.targets.base", "actc.cli.compile"} <= modules


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_layers(path: Path) -> None:
    assert violations(module_of(path), imports(path)) == []


def test_a_target_does_not_know_a_pass(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("def f():\n    from actc.passes.fold import x\n")
    found = violations("actc.targets.mine", imports(path))
    assert found == ["line 2: actc.targets.mine imports actc.passes.fold"]


def test_only_functions_and_estimates_know_costs() -> None:
    found = [(1, "actc.cost.model")]
    assert violations("actc.targets.fpga.functions.choose", found) == []
    assert violations("actc.targets.fpga.functions", found) == []
    assert violations("actc.targets.fpga.functionsx", found) != []
    assert violations("actc.targets.fpga.units", found) != []


def test_numerics_know_nothing_above() -> None:
    assert violations("actc.numerics.fixed", [(1, "actc.ir.load"), (2, "numpy")]) != []


def test_joining_modules_leave_the_command_line_alone() -> None:
    assert violations("actc.compiler", [(1, "actc.cli.console"), (2, "actc.passes")]) == [
        "line 1: actc.compiler imports the command line"
    ]


def test_the_command_line_uses_the_public_api_only() -> None:
    assert violations("actc.cli.compile", [(1, "actc"), (2, "actc.compiler")]) == [
        "line 2: actc.cli.compile imports actc.compiler"
    ]
