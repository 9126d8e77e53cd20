"""The text files of an artefact: signature.json and the examples that run model.so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actc.targets.tvm.plan import Buffer, KernelPlan

Signature = Mapping[str, list[dict[str, Any]]]
_TEMPLATES = Path(__file__).parent / "templates"
_DLPACK = {"int": "kDLInt", "uint": "kDLUInt", "float": "kDLFloat", "bfloat": "kDLUInt"}
_NPY = {"int": "i", "uint": "u", "float": "f", "bfloat": "V"}


def signature(kernels: KernelPlan) -> dict[str, list[dict[str, Any]]]:
    """Inputs and outputs in the order in which the library takes and gives them."""
    outputs = {name: kernels.buffers[source] for name, source in kernels.outputs.items()}
    return {"inputs": _entries(kernels.inputs), "outputs": _entries(outputs)}


def _entries(buffers: Mapping[str, Buffer]) -> list[dict[str, Any]]:
    return [
        {"name": name, "dtype": b.dtype, "shape": list(b.extents)} for name, b in buffers.items()
    ]


def python_example(given: Signature) -> str:
    """run.py: runs model.so without importing TVM."""
    names = tuple([str(item["name"]) for item in given[part]] for part in ("inputs", "outputs"))
    return template("run.py.in").replace("@NAMES@", repr(names))


def cpp_example(given: Signature) -> str:
    """run.cpp: runs model.so on .npy files; no name of the model stands in it."""
    text = template("run.cpp.in")
    for part in ("inputs", "outputs"):
        types = [_cpp_type(str(item["dtype"])) for item in given[part]]
        text = text.replace(f"@{part.upper()}@", ", ".join(types))
        text = text.replace(f"@{part.upper()[:-1]}_COUNT@", str(len(types)))
    return text


def _cpp_type(dtype: str) -> str:
    """numpy's and DLPack's name of an element type, as C++."""
    if dtype == "bool":
        return '{"|b1", {kDLBool, 8, 1}}'
    kind = dtype.rstrip("0123456789")
    bits = int(dtype[len(kind) :])
    order = "|" if bits == 8 or kind == "bfloat" else "<"
    return f'{{"{order}{_NPY[kind]}{bits // 8}", {{{_DLPACK[kind]}, {bits}, 1}}}}'


def template(name: str) -> str:
    """The text of a file of templates."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")
