"""Cells of every FPGA family with random settings, to be put beside the vendors' models."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from vendor_cells import Case

from actc.targets.fpga.gates.netlist import MODELS

WORDS = {f"INIT_{row:X}": 256 for row in range(16)}


def numbers(rng: np.random.Generator, bits: int) -> int:
    return int.from_bytes(rng.bytes(-(-bits // 8)), "little") % (1 << bits)


def ice40_cases(rng: np.random.Generator) -> Iterator[Case]:
    four = {f"I{i}": 1 for i in range(4)}
    for _ in range(4):
        yield Case("SB_LUT4", {"LUT_INIT": (16, numbers(rng, 16))}, four, {"O": 1})
    yield Case("SB_CARRY", {}, {"I0": 1, "I1": 1, "CI": 1}, {"CO": 1})
    yield Case("SB_GB", {}, {"USER_SIGNAL_TO_GLOBAL_BUFFER": 1}, {"GLOBAL_BUFFER_OUTPUT": 1})
    for kind in [name for name in MODELS["ice40"] if name.startswith("SB_DFF")]:
        ports = {"D": 1}
        rest = kind.removeprefix("SB_DFF").removeprefix("N")
        if rest.startswith("E"):
            ports["E"] = 1
        reset = rest.removeprefix("E")
        if reset:
            ports["S" if reset in ("S", "SS") else "R"] = 1
        yield Case(kind, {}, ports, {"Q": 1}, ("C",))
    yield from ice40_memories(rng)
    yield from ice40_logic_cells(rng)
    yield from ice40_multipliers(rng)
    ports = {"ADDRESS": 14, "DATAIN": 16, "MASKWREN": 4, "WREN": 1, "CHIPSELECT": 1}
    tied = {"SLEEP": (1, 0), "POWEROFF": (1, 1)}
    few = {"ADDRESS": 0x2100}  # words that are written before they are read
    for standby in ({"STANDBY": (1, 0)}, {}):
        given = ports | ({} if standby else {"STANDBY": 1})
        both = tied | standby
        yield Case("SB_SPRAM256KA", {}, given, {"DATAOUT": 16}, ("CLOCK",), both, few, 0.1)


def ice40_memories(rng: np.random.Generator) -> Iterator[Case]:
    ports = {"RE": 1, "RCLKE": 1, "RADDR": 11, "WE": 1, "WCLKE": 1, "WADDR": 11}
    ports |= {"MASK": 16, "WDATA": 16}
    for mode in range(4):
        contents = {name: (bits, numbers(rng, bits)) for name, bits in WORDS.items()}
        modes = {"READ_MODE": (2, mode), "WRITE_MODE": (2, 3 - mode)}
        for pins in ("", "NR", "NW", "NRNW") if mode == 1 else ("",):
            clocks = ("RCLKN" if "NR" in pins else "RCLK", "WCLKN" if "NW" in pins else "WCLK")
            yield Case(f"SB_RAM40_4K{pins}", contents | modes, ports, {"RDATA": 16}, clocks)


def ice40_logic_cells(rng: np.random.Generator) -> Iterator[Case]:
    ports = {f"I{i}": 1 for i in range(4)} | {"CIN": 1, "CEN": 1, "SR": 1}
    for setting in range(16):
        flags = {
            "DFF_ENABLE": setting & 1,
            "SET_NORESET": setting >> 1 & 1,
            "ASYNC_SR": setting >> 2 & 1,
            "NEG_CLK": setting >> 3 & 1,
            "CIN_CONST": int(rng.integers(2)),
            "CIN_SET": int(rng.integers(2)),
            "CARRY_ENABLE": 1,
        }
        parameters = {name: (1, value) for name, value in flags.items()}
        parameters["LUT_INIT"] = (16, numbers(rng, 16))
        outputs = {"O": 1, "LO": 1, "COUT": 1}
        yield Case("ICESTORM_LC", parameters, ports, outputs, ("CLK",))


MULTIPLIER_FLAGS = (
    *(f"{name}_REG" for name in ("A", "B", "C", "D", "TOP_8x8_MULT", "BOT_8x8_MULT")),
    *("PIPELINE_16x16_MULT_REG1", "PIPELINE_16x16_MULT_REG2", "A_SIGNED", "B_SIGNED"),
    *("TOPADDSUB_UPPERINPUT", "BOTADDSUB_UPPERINPUT", "MODE_8x8"),
)
PIPELINE = ("TOP_8x8_MULT_REG", "BOT_8x8_MULT_REG", "PIPELINE_16x16_MULT_REG1")
MULTIPLIER_CHOICES = tuple(
    f"{half}{name}"
    for half in ("TOP", "BOT")
    for name in ("OUTPUT_SELECT", "ADDSUB_LOWERINPUT", "ADDSUB_CARRYSELECT")
)


def ice40_multipliers(rng: np.random.Generator) -> Iterator[Case]:
    ports = dict.fromkeys("ABCD", 16)
    ports |= dict.fromkeys(("CE", "CI", "ACCUMCI", "SIGNEXTIN"), 1)
    ports |= {f"{name}HOLD": 1 for name in "ABCD"}
    for half in ("TOP", "BOT"):
        ports |= {f"{name}{half}": 1 for name in ("IRST", "ORST", "OLOAD", "ADDSUB", "OHOLD")}
    outputs = {"O": 32, "CO": 1, "ACCUMCO": 1, "SIGNEXTOUT": 1}
    plain = dict.fromkeys((*MULTIPLIER_FLAGS, *MULTIPLIER_CHOICES), 0)
    plain |= {"TOPOUTPUT_SELECT": 3, "BOTOUTPUT_SELECT": 3}
    # without resets, so that sums grow
    quiet = {f"{name}{half}": 0 for name in ("IRST", "ORST") for half in ("TOP", "BOT")}
    for number in range(40):
        chosen = dict(plain)
        if number >= 4:
            chosen |= {name: int(rng.integers(2)) for name in MULTIPLIER_FLAGS}
            chosen |= {name: int(rng.integers(4)) for name in MULTIPLIER_CHOICES}
        else:  # a product, alone
            chosen |= {"A_SIGNED": number & 1, "B_SIGNED": number >> 1}
            chosen |= dict.fromkeys(PIPELINE, int(number > 1))
        parameters: dict[str, tuple[int, int] | str] = {
            name: (2 if name in MULTIPLIER_CHOICES else 1, value) for name, value in chosen.items()
        }
        shown = outputs if number % 3 else {"O": 32}
        if number < 4:
            tied = dict.fromkeys(quiet, (1, 0))
            free = {name: width for name, width in ports.items() if name not in tied}
            yield Case("SB_MAC16", parameters, free, shown, ("CLK",), tied)
        masks = quiet if number % 2 else {}
        yield Case("SB_MAC16", parameters, ports, shown, ("CLK",), masks=masks)


def ecp5_cases(rng: np.random.Generator) -> Iterator[Case]:
    four = dict.fromkeys("ABCD", 1)
    for _ in range(4):
        yield Case("LUT4", {"INIT": (16, numbers(rng, 16))}, four, {"Z": 1})
    yield Case("LUT2", {"INIT": (4, 6)}, {"A": 1, "B": 1}, {"Z": 1})
    yield Case("PFUMX", {}, {"ALUT": 1, "BLUT": 1, "C0": 1}, {"Z": 1})
    yield Case("L6MUX21", {}, {"D0": 1, "D1": 1, "SD": 1}, {"Z": 1})
    yield Case("INV", {}, {"A": 1}, {"Z": 1})
    yield Case("VHI", {}, {}, {"Z": 1})
    yield Case("VLO", {}, {}, {"Z": 1})
    eight = {f"{name}{half}": 1 for half in "01" for name in "ABCD"} | {"CIN": 1}
    for first in ("YES", "NO"):
        for second in ("YES", "NO"):
            parameters: dict[str, tuple[int, int] | str] = {
                "INIT0": (16, numbers(rng, 16)),
                "INIT1": (16, numbers(rng, 16)),
                "INJECT1_0": first,
                "INJECT1_1": second,
            }
            yield Case("CCU2C", parameters, eight, {"S0": 1, "S1": 1, "COUT": 1})
    yield from ecp5_flip_flops()
    yield from ecp5_slices(rng)
    ports = {"DI": 4, "WAD": 4, "WRE": 1, "RAD": 4}
    for edge in ("WCK", "INV"):
        parameters = {"INITVAL": (64, numbers(rng, 64)), "WCKMUX": edge, "WREMUX": "WRE"}
        yield Case("TRELLIS_DPR16X4", parameters, ports, {"DO": 4}, ("WCK",))


def ecp5_flip_flops() -> Iterator[Case]:
    for enable in ("1", "0", "CE", "INV"):
        for reset in ("LSR", "INV"):
            for mode in ("LSR_OVER_CE", "ASYNC"):
                for value in ("RESET", "SET"):
                    edge = "INV" if (enable, reset) == ("CE", "INV") else "CLK"
                    parameters = {"CEMUX": enable, "LSRMUX": reset, "SRMODE": mode}
                    parameters |= {"REGSET": value, "CLKMUX": edge}
                    ports = {"CE": 1, "LSR": 1, "DI": 1}
                    yield Case("TRELLIS_FF", parameters, ports, {"Q": 1}, ("CLK",))


def ecp5_slices(rng: np.random.Generator) -> Iterator[Case]:
    four = dict.fromkeys("ABCD", 1)
    wide = four | {"M": 1, "F1": 1}
    for mode, ports, outputs in (
        ("LOGIC", wide, {"F": 1, "OFX": 1}),
        # yosys' model does not drive FCO: a local wire hides it
        ("CCU2", four | {"FCI": 1}, {"F": 1}),
    ):
        for inject in ("YES", "NO"):
            init = (16, numbers(rng, 16))
            parameters = {"MODE": mode, "INITVAL": init, "CCU2_INJECT1": inject}
            yield Case("TRELLIS_COMB", parameters, ports, outputs)
    parameters = {"MODE": "DPRAM", "INITVAL": (16, numbers(rng, 16))}
    ports = four | {"WD": 1, "WRE": 1} | {f"WAD{i}": 1 for i in range(4)}
    yield Case("TRELLIS_COMB", parameters, ports, {"F": 1}, ("WCK",))


def table_cases(rng: np.random.Generator, widths: range, output: str) -> Iterator[Case]:
    for width in widths:
        for _ in range(3):
            truth = (1 << width, numbers(rng, 1 << width))
            yield Case(
                f"LUT{width}", {"INIT": truth}, {f"I{i}": 1 for i in range(width)}, {output: 1}
            )


def gowin_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield from table_cases(rng, range(1, 5), "F")
    for width in range(5, 9):
        yield Case(f"MUX2_LUT{width}", {}, {"I0": 1, "I1": 1, "S0": 1}, {"O": 1})
    for mode in range(10):
        ports = {"I0": 1, "I1": 1, "I3": 1, "CIN": 1}
        yield Case("ALU", {"ALU_MODE": (32, mode)}, ports, {"SUM": 1, "COUT": 1})
    resets = {"S": "SET", "R": "RESET", "P": "PRESET", "C": "CLEAR"}
    for kind in [name for name in MODELS["gowin"] if name.startswith("DFF")]:
        rest = kind.removeprefix("DFF").removeprefix("N")
        ports = {"D": 1} | ({"CE": 1} if rest.endswith("E") else {})
        ports |= {resets[rest[0]]: 1} if rest[:1] in resets else {}
        yield Case(kind, {}, ports, {"Q": 1}, ("CLK",))


def xc7_cases(rng: np.random.Generator) -> Iterator[Case]:
    yield from table_cases(rng, range(1, 7), "O")
    for width in (7, 8, 9):
        yield Case(f"MUXF{width}", {}, {"I0": 1, "I1": 1, "S": 1}, {"O": 1})
    yield Case("INV", {}, {"I": 1}, {"O": 1})
    yield Case("CARRY4", {}, {"CI": 1, "CYINIT": 1, "DI": 4, "S": 4}, {"CO": 4, "O": 4})
    for carry in ("SINGLE_CY8", "DUAL_CY4"):
        ports = {"CI": 1, "CI_TOP": 1, "DI": 8, "S": 8}
        yield Case("CARRY8", {"CARRY_TYPE": carry}, ports, {"CO": 8, "O": 8})
    resets = {"R": "R", "S": "S", "C": "CLR", "P": "PRE"}
    for kind, port in resets.items():
        ports = {"D": 1, "CE": 1, port: 1}
        for inverted in range(8):
            names = ("IS_C_INVERTED", "IS_D_INVERTED", f"IS_{port}_INVERTED")
            parameters = {name: (1, inverted >> i & 1) for i, name in enumerate(names)}
            parameters["INIT"] = (1, numbers(rng, 1))
            yield Case(f"FD{kind}E", parameters, ports, {"Q": 1}, ("C",))
        yield Case(f"FD{kind}E_1", {}, ports, {"Q": 1}, ("C",))
    address = {f"A{i}": 1 for i in range(4)}
    for edge in (0, 1):
        parameters = {"INIT": (16, numbers(rng, 16)), "IS_CLK_INVERTED": (1, edge)}
        yield Case("SRL16E", parameters, address | {"CE": 1, "D": 1}, {"Q": 1}, ("CLK",))
    parameters = {"INIT": (32, numbers(rng, 32))}
    yield Case("SRLC32E", parameters, {"A": 5, "CE": 1, "D": 1}, {"Q": 1, "Q31": 1}, ("CLK",))


CASES = {"ice40": ice40_cases, "ecp5": ecp5_cases, "gowin": gowin_cases, "xc7": xc7_cases}
