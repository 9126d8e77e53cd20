"""Identifiers that Verilog, SystemVerilog and VHDL tools all take."""

from __future__ import annotations

import re

MAX_LENGTH = 64
"""Characters of a name; longer ones are cut."""

# IEEE 1364-2005 and 1800-2017: Verilator and others read .v files as SystemVerilog too.
_WORDS = """
accept_on alias always always_comb always_ff always_latch and assert assign assume automatic
before begin bind bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle
checker class clocking cmos config const constraint context continue cover covergroup
coverpoint cross deassign default defparam design disable dist do edge else end endcase
endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface
endmodule endpackage endprimitive endprogram endproperty endsequence endspecify endtable
endtask enum event eventually expect export extends extern final first_match for force foreach
forever fork forkjoin function generate genvar global highz0 highz1 if iff ifnone ignore_bins
illegal_bins implements implies import incdir include initial inout input inside instance int
integer interconnect interface intersect join join_any join_none large let liblist library
local localparam logic longint macromodule matches medium modport module nand negedge nettype
new nexttime nmos nor noshowcancelled not notif0 notif1 null or output package packed parameter
pmos posedge primitive priority program property protected pull0 pull1 pulldown pullup
pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence rcmos real
realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0 rtranif1
s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal
showcancelled signed small soft solve specify specparam static string strong strong0 strong1
struct super supply0 supply1 sync_accept_on sync_reject_on table tagged task this throughout
time timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type typedef
union unique unique0 unsigned until until_with untyped use uwire var vectored virtual void wait
wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
"""
KEYWORDS = frozenset(_WORDS.split())
PORT_WORDS = (
    *("clk", "reset", "in", "out", "in_valid", "in_ready", "in_data"),
    *("out_valid", "out_ready", "out_data"),
)
"""Ports of a network that takes and gives streams, and what they begin with."""


def identifier(text: str) -> str:
    """A legal identifier like `text`: letters, digits and single underscores.

    Two underscores in a row and underscores at the ends are legal in Verilog but not in
    VHDL, which mixed designs instantiate from.
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "_", text)[:MAX_LENGTH].strip("_")
    if not plain or plain[0].isdigit():
        plain = f"n{plain}"
    return f"{plain}_n" if plain.lower() in KEYWORDS else plain


class Names:
    """Distinct identifiers, the same for the same requests in the same order.

    Names that differ in case only count as equal: file systems and VHDL ignore it.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def reserve(self, name: str) -> None:
        """Take an identifier as it is.

        Raises:
            ValueError: it is taken already.
        """
        if name.lower() in self._taken:
            raise ValueError(f"{name} is taken")
        self._taken.add(name.lower())

    def new(self, hint: str) -> str:
        """An identifier like `hint`, with a number behind it if that is taken."""
        base = name = identifier(hint)
        number = self._next.get(base.lower(), 1)
        while name.lower() in self._taken:
            number += 1
            name = f"{base}_{number}"
        self._next[base.lower()] = number
        self._taken.add(name.lower())
        return name
