"""Kernels of the target cuda, executed on the CPU: models and checks of the target cpu's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import test_attention_cpu as attention
import test_cpu_binary as binary
import test_cpu_steps as steps
import test_target_cpu as integers
import test_target_cpu_float as floats
from installed import needs_nvcc

import actc
from actc.targets.tvm.cuda import CudaTarget

Check = Callable[[Path], None]

pytestmark = needs_nvcc

QUICK: dict[str, tuple[ModuleType, Check]] = {
    "normalization and softmax": (
        integers,
        integers.test_a_token_mixer_with_normalization_and_softmax,
    ),
    "layers of signs": (
        binary,
        lambda folder: binary.test_padding_of_any_code_is_exact(1, True, folder),
    ),
    "a float network": (floats, floats.test_a_convolutional_net),
}

LONG: dict[str, tuple[ModuleType, Check]] = {
    "tables, gates and moves": (
        integers,
        integers.test_gates_tables_and_moves_in_channels_last,
    ),
    "rows of a table": (integers, integers.test_embedding_and_a_fixed_batch),
    "bits to codes and back": (
        binary,
        binary.test_codes_that_others_read_are_unpacked_and_packed,
    ),
    "attention of floats": (floats, floats.test_attention),
    "one axis": (integers, integers.test_one_dimensional_convolutions),
    "two readers": (integers, integers.test_an_accumulator_with_two_readers),
    "one channel": (
        integers,
        lambda folder: integers.test_channels_are_padded_and_flattened_maps_are_not(1, folder),
    ),
    "ties": (integers, lambda folder: integers.test_quantization_rounds_ties_to_even(0.1, folder)),
    "few steps": (steps, lambda folder: steps.test_any_number_of_steps_a_channel(3, folder)),
    "many steps": (steps, lambda folder: steps.test_any_number_of_steps_a_channel(200, folder)),
    "steps of sums": (steps, steps.test_sums_are_multiplied_and_added_before_the_output),
    "sequences of signs": (binary, binary.test_rows_of_a_sequence_and_sums_of_bytes_in_front),
    "signs over time": (binary, binary.test_convolutions_over_time),
    "a table of floats": (floats, floats.test_a_quantized_table_is_looked_up_exactly),
    "functions of two floats": (
        floats,
        floats.test_one_dimensional_convolution_and_functions_of_two,
    ),
}


def run(module: ModuleType, check: Check, folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(module, "CpuTarget", lambda: CudaTarget(("sm_80",)))
    check(folder)


@pytest.mark.parametrize("name", QUICK)
def test_kernels(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*QUICK[name], tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_more_kernels(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*LONG[name], tmp_path, monkeypatch)


def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `actc.compile` build for the target cuda, whatever it is told."""
    compile = actc.compile

    def instead(model: object, _: str, **given: object) -> actc.Artifact:
        return compile(model, "cuda:sm_80", **given)  # type: ignore[arg-type]

    monkeypatch.setattr(actc, "compile", instead)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chosen", "filled"])
def test_masks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpu(monkeypatch)
    attention.test_mask(tmp_path, name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_thresholds_of_the_sample(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    import test_torch_binary_instances as instances

    on_gpu(monkeypatch)
    instances.test_thresholds_of_instances_run_on_cpu(3, getattr(instances, kind), tmp_path)
    kernels = (tmp_path / "out" / "kernels.cu").read_text()
    assert "instancesteps_" in kernels
