"""Layers of actc for hls4ml's backend oneAPI, whose streams are types and whose tensors objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actc.targets.hls4ml.extension import Extension

_TASK = """
template <class {pipes}> void {task}({parameters}) {{
    {streams}
    nnet::{function}<{words}, config{index}>({arguments});
}}
"""


def constant_lines(node: Any, extension: Extension) -> list[str]:
    """Types of a layer's constants, as members of its configuration; hls4ml's are of arrays."""
    return [
        f"    typedef {node.get_weights(name).type.name}::value_type {name}_t;"
        for name in extension.constants
    ]


def task(node: Any, extension: Extension) -> str:
    """The layer as a function of pipes, which a sequence of tasks runs."""
    ports = [f"in{k}" for k in range(extension.inputs)] + ["out"]
    words = [f"nnet::actc_word<{port}_pipe>" for port in ports]
    constants = [(node.get_weights(name).type.name, name) for name in extension.constants]
    return _TASK.format(
        pipes=", class ".join(f"{port}_pipe" for port in ports),
        task=_name(node),
        parameters=", ".join(f"{kind} {name}" for kind, name in constants),
        streams=" ".join(
            f"nnet::actc_stream<{word}> {port};" for word, port in zip(words, ports, strict=True)
        ),
        function=extension.function,
        words=", ".join(words),
        index=node.index,
        arguments=", ".join([*ports, *(f"{name}.data()" for _, name in constants)]),
    )


def call(node: Any, extension: Extension) -> str:
    """The call of a layer of whole tensors."""
    ports = [node.get_input_variable(name) for name in node.inputs[: extension.inputs]]
    ports.append(node.get_output_variable())
    types = [f"{port.type.name}::value_type" for port in ports]
    arguments = [port.name for port in ports]
    arguments += [node.get_weights(name).name for name in extension.constants]
    given = ", ".join(f"{name}.data()" for name in arguments)
    return f"nnet::{extension.function}<{', '.join([*types, f'config{node.index}'])}>({given});"


def stream_templates(extension: Extension, layer: type) -> list[type]:
    """hls4ml's templates of a layer of streams: what declares its task, and what starts it."""
    from hls4ml.backends.oneapi.oneapi_template import (
        StreamFunctionCallTemplate,
        TaskSequenceTemplate,
    )

    def declared(self: Any, node: Any) -> str:
        ports = [node.get_input_variable(name) for name in node.inputs[: extension.inputs]]
        ports.append(node.get_output_variable())
        pipes = ", ".join(port.pipe_name for port in ports)
        return f"task_sequence<{_name(node)}<{pipes}>> {node.name};"

    def started(self: Any, node: Any) -> str:
        constants = [node.get_weights(name).name for name in extension.constants]
        return f"{node.name}.async({', '.join(constants)});"

    made = []
    for base, format in ((TaskSequenceTemplate, declared), (StreamFunctionCallTemplate, started)):
        made.append(_template(f"{extension.op}{base.__name__}", base, layer, format))
    return made


def _template(name: str, base: Any, layer: type, format: Any) -> type:
    def initialize(self: Any) -> None:
        base.__init__(self, layer)

    return type(name, (base,), {"__init__": initialize, "format": format})


def _name(node: Any) -> str:
    return f"actc_task{node.index}"
