"""The queue at the end of a stage: room in it is taken before results are made."""

from __future__ import annotations

from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.hardware.parts import clock_pins, instance


def results(room: int, group: int, bits: int, options: HardwareOptions) -> list[str]:
    """Lines that queue `result` for the stream `out`, and make `credit` of `take`.

    Args:
        room: words.
        group: words that come for each `take`.
        bits: of a word.
    """
    pins = clock_pins() | {"in_valid": "result_valid", "in_ready": "room", "in_data": "result"}
    pins |= {f"out_{part}": f"out_{part}" for part in ("valid", "ready", "data")}
    parameters = {"WIDTH": bits, "DEPTH": room, "LUTRAM": options.lutram}
    credit = clock_pins() | {"take": "take", "leave": "out_valid & out_ready", "credit": "credit"}
    return [
        "wire room;  // always, as credits say",
        *instance("actc_fifo", "results", pins, parameters),
        *instance("actc_credits", "credits", credit, {"ROOM": room, "GROUP": group}),
        "wire unused_room = room;",
    ]
