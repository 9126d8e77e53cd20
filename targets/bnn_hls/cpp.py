"""The C++ of a network: constants, a function for each layer, and the top function."""

from __future__ import annotations

from actc.targets.bnn_hls.dataflow import Dataflow, Process, dataflow
from actc.targets.bnn_hls.design import Design, layer_name
from actc.targets.bnn_hls.layer_constants import LayerConstants
from actc.targets.bnn_hls.layer_cpp import LayerWriter

_HEADER = """\
// {title}
#ifndef {guard}
#define {guard}

#include "actc_axis.h"

// One sample: {taken} words come, {given} words go, of {bits} bits each.
void {name}(hls::stream<actc::axis_word>& in, hls::stream<actc::axis_word>& out);

enum {{ {guard}_IN = {taken}, {guard}_OUT = {given} }};

#endif
"""
_PARAMETERS = """\
// Constants of {name}: [unit][words, in the order of their use].
#ifndef {guard}_PARAMETERS
#define {guard}_PARAMETERS

#include "actc_functions.h"

{text}
#endif
"""
_SOURCE = """\
// {title}
#include "{name}.h"

#include "actc_layers.h"
#include "actc_products.h"
#include "actc_windows.h"
#include "{name}_parameters.h"

namespace {{

{layers}}}  // namespace

#ifndef ACTC_THREADS
void {name}(hls::stream<actc::axis_word>& in, hls::stream<actc::axis_word>& out) {{
#pragma HLS INTERFACE axis port = in
#pragma HLS INTERFACE axis port = out
#pragma HLS INTERFACE ap_ctrl_none port = return
#pragma HLS DATAFLOW
{body}}}
#endif
"""


def write_cpp(design: Design) -> dict[str, str]:
    """Name -> text of the network's own files."""
    name, network = design.network.name, design.network
    processes = dataflow(network, design.choice)
    taken, given = design.words
    values = {"name": name, "guard": name.upper(), "title": f"{name}, written by actc"}
    held = [LayerConstants(design, number) for number in range(len(network.layers))]
    functions = "\n".join(LayerWriter(design, own).processes() for own in held)
    parameters = "\n".join(filter(None, (own.declarations() for own in held)))
    return {
        f"{name}.h": _HEADER.format(**values, taken=taken, given=given, bits=64),
        f"{name}_parameters.h": _PARAMETERS.format(**values, text=parameters),
        f"{name}.cpp": _SOURCE.format(**values, layers=functions, body=_body(design, processes)),
    }


def call(design: Design, process: Process) -> str:
    """The call of a process."""
    streams = ", ".join((*process.reads, *process.writes))
    if process.kind in ("layer", "windows"):
        end = "_windows" if process.kind == "windows" else ""
        return f"{layer_name(design, process.numbers[0])}{end}({streams});"
    numbers = list(map(str, process.numbers))
    if process.kind == "pack":
        numbers[3] = "true" if process.numbers[3] else "false"
    return f"actc::{process.kind}<{', '.join(numbers)}>({streams});"


def _body(design: Design, processes: Dataflow) -> str:
    lines = []
    for queue in processes.queues:
        lines.append(f'  hls::stream<ap_uint<{queue.bits}> > {queue.name}("{queue.name}");')
        lines.append(f"#pragma HLS STREAM variable = {queue.name} depth = {queue.depth}")
    lines += [f"  {call(design, process)}" for process in processes.processes]
    return "\n".join(lines) + "\n"
