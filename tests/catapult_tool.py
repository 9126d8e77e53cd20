"""A program in the place of Catapult: what it leaves behind, and the commands of its scripts."""

from __future__ import annotations

from vendor_tools import timing

SOLUTION = "net_prj/net.v1"
GATES = f"{SOLUTION}/vivado_concat_v"


def schedule(
    top: str = "net", latency: int = 6, delay: str = "8.245001", area: str = "2157.250"
) -> str:
    """`rtl.rpt`, as Catapult 2024.1 writes it, with fewer rows."""
    return f"""\
-- Catapult Ultra Synthesis: Report
-- ------------------------- ---------------------------------------------------
-- Version:                  2024.1/1091966 Production Release
-- Build Date:               Wed Feb 14 09:07:18 PST 2024

Solution Settings: {top}.v1
  Current state: extract
  Project: net_prj

Processes/Blocks in Design
  Process                      Real Operation(s) count Latency Throughput Reset Length II Comments
  ---------------------------- ----------------------- ------- ---------- ------------ -- --------
  /net/nnet::dense<a,b>/core                       255       2          5            2  0        ?
  Design Total:                                    318  {latency:6}          5            2  0

Bill Of Materials (Datapath)
  Component Name                Area Score Area(DSP) Area(LUTs) Area(MUX_CARRYs) Delay Post Alloc
  ----------------------------- ---------- --------- ---------- ---------------- ----- ----------
  [Lib: mgc_Xilinx-ZYNQ-1_beh]
  mgc_add(10,0,2,1,10)              10.000     0.000     10.000            9.000 1.565          3
  mgc_mul(8,1,8,1,16)              650.000     1.000      0.000            0.000 3.565          3

  TOTAL AREA (After Assignment):  2281.711     3.000   {area}          255.000

Area Scores
                    Post-Scheduling   Post-DP & FSM Post-Assignment
  ----------------- --------------- --------------- ---------------
  Total Area Score:    813.8          2280.2          2288.7

Timing Report
  Critical Path
    Max Delay:  {delay}
    Slack:      1.7549989999999998

  Register Input and Register-to-Output Slack
    Clock period or pin-to-reg delay constraint (clk): 10.0

    Instance                                 Port                  Slack (Delay) Messages
    ---------------------------------------- --------------------- ------- ------- --------
    net:core/reg(out:rsci.idat)              mux.itm               5.3750  4.6250
"""


SITES = """\
| Tool Version : Vivado v.2023.2 (lin64) Build 4029153
| Design       : net
| Design State : Synthesized

1. CLB Logic
------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| CLB LUTs*                  | 20001 |     0 |          0 |     70560 |  1.80 |
|   LUT as Logic             | 20000 |     0 |          0 |     70560 |  1.71 |
| CLB Registers              |  1711 |     0 |          0 |    141120 |  1.57 |
|   Register as Flip Flop    |  1711 |     0 |          0 |    141120 |  1.57 |
+----------------------------+-------+-------+------------+-----------+-------+
* Warning! The Final LUT count, after physical optimizations, is typically lower.

+-------------------+------+-------+------------+-----------+-------+
|     Site Type     | Used | Fixed | Prohibited | Available | Util% |
+-------------------+------+-------+------------+-----------+-------+
| Block RAM Tile    |  2.5 |     0 |          0 |       216 |  1.16 |
|   RAMB36/FIFO*    |    2 |     0 |          0 |       216 |  0.93 |
|     RAMB36E2 only |    2 |       |            |           |       |
|   RAMB18          |    1 |     0 |          0 |       432 |  0.23 |
| URAM              |    0 |     0 |          0 |         0 |  0.00 |
+-------------------+------+-------+------------+-----------+-------+

+-----------+------+-------+------------+-----------+-------+
| Site Type | Used | Fixed | Prohibited | Available | Util% |
+-----------+------+-------+------------+-----------+-------+
| DSPs      |    3 |     0 |          0 |       360 |  0.83 |
+-----------+------+-------+------------+-----------+-------+

+----------+-------+---------------------+
| Ref Name |  Used | Functional Category |
+----------+-------+---------------------+
| DSPs     | 99999 |                 CLB |
+----------+-------+---------------------+
"""


def rtl(report: str | None = None) -> str:
    """What the script of hls4ml leaves behind."""
    text = schedule() if report is None else report
    return (
        f"write('{SOLUTION}/concat_rtl.v', 'module net; endmodule')\n"
        f"write('{SOLUTION}/rtl.rpt', {text!r})\nwrite('net_prj.ccs', '')\n"
    )


def gates(slack: str | None = None) -> str:
    """What Vivado leaves behind."""
    text = timing("0.512", "-0.050") if slack is None else slack
    return (
        f"write('{GATES}/utilization_synth.rpt', {SITES!r})\n"
        f"write('{GATES}/timing_summary_synth.rpt', {text!r})\n"
    )


def catapult(first: str | None = None, second: str | None = None) -> str:
    """The body of a Catapult: what its first and its second script do."""
    bodies = (rtl() if first is None else first, gates() if second is None else second)
    parts = ["".join(f"    {line}\n" for line in body.splitlines()) for body in bodies]
    return f"print(sys.argv[1:])\nif script.name == 'build_prj.tcl':\n{parts[0]}else:\n{parts[1]}"


# commands of Catapult that write where it does, in tclsh
COMMANDS = """\
set log [open commands.log a]
set project {}
proc note {args} {global log; puts $log $args; flush $log}
proc place {path text} {
  file mkdir [file dirname $path]
  set out [open $path w]; puts -nonewline $out $text; close $out
}
proc project {what args} {
  global project; note project $what {*}$args
  if {$what eq "new"} {set project [lindex $args end]}
  if {$what eq "save"} {place $project.ccs {}}
  if {$what eq "load"} {
    if {![file isfile [lindex $args 0]]} {error "no [lindex $args 0]"}
    set project [file rootname [lindex $args 0]]
  }
}
proc solution {what args} {
  note solution $what {*}$args
  if {$what eq "file" && ![file isfile [lindex $args 1]]} {error "no file [lindex $args 1]"}
  if {$what eq "library" && [lindex $args 0] eq "get"} {return {}}
}
proc library {args} {return {}}
proc go {state} {
  global project; note go $state
  if {$state eq "extract"} {
    place $project/net.v1/concat_rtl.v "module net; endmodule"
    file copy @RTL@ $project/net.v1/rtl.rpt
  }
}
proc flow {what args} {
  global project; note flow $what {*}$args
  if {$what eq "run" && [lindex $args 0] eq "/Vivado/synthesize"} {
    foreach name {utilization timing_summary} {
      place $project/net.v1/vivado_concat_v/${name}_synth.rpt {}
      file copy -force @FOLDER@/$name $project/net.v1/vivado_concat_v/${name}_synth.rpt
    }
  }
}
foreach name {options directive logfile application} {
  proc $name {args} "note $name {*}\\$args"
}
"""
