"""Options of FPGA targets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actc.errors import UsageError
from actc.targets.fpga.options import INTERFACES, FpgaOptions, parse_options


@given(
    st.builds(
        FpgaOptions,
        clock=st.none() | st.floats(0.1, 1000),
        interface=st.sampled_from(["", *INTERFACES]),
        seeds=st.integers(1, 64),
        seed=st.integers(1, 2**31 - 64),
    )
)
def test_what_is_written_is_read_again(options: FpgaOptions) -> None:
    assert parse_options(str(options), FpgaOptions) == options


def test_defaults_are_not_written() -> None:
    assert str(parse_options("", FpgaOptions)) == ""
    assert str(parse_options("latency=4,seeds=1", FpgaOptions)) == "latency=4"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clok=100", "did you mean clock"),
        ("clock", "there is no option 'clock'"),
        ("clock=fast", "clock=fast is not possible"),
        ("clock=nan", "MHz, 0.1 to 1000"),
        ("latency=-1", "a whole number, 0 to 1000"),
        ("latency=1e3", "a whole number"),
        ("seeds=0", "1 to 64"),
        ("seeds=000000001999", "1 to 64"),
        ("seed=9999999999", "a whole number, 1 to"),
        ("effort=4", "0 to 3"),
        ("interface=usb", "one of uart, spi, stream"),
        ("tables=rom", "one of auto, logic, memory"),
        ("seeds=2,seeds=3", "given twice"),
        ("clock=100,latency=3", "given both"),
        ("architecture=unrolled,throughput=9", "throughput has no meaning for a network"),
        ("architecture=folded,effort=3", "effort has no meaning for a network"),
        ("throughput=9,tables=memory", "tables has no meaning for a network"),
        ("latency=1001", "at most 1000 stages"),
        ("architecture=fold", "did you mean folded?"),
        ("throughput=0", "samples per second"),
    ],
)
def test_wrong_options_are_explained(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(text, FpgaOptions)
    assert words in str(caught.value)


def test_all_wrong_options_are_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse_options("clok=1,seeds=x,interface=usb", FpgaOptions)
    assert len(caught.value.diagnostics) == 3


def test_a_throughput_asks_for_a_folded_network_with_clock_and_latency() -> None:
    options = parse_options("throughput=9,clock=40,latency=5000", FpgaOptions)
    assert (options.clock, options.latency, options.throughput) == (40.0, 5000, 9.0)
