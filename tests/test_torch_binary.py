"""Layers of binary networks: exact signs forward, the documented gradients back."""

from __future__ import annotations

import math
from typing import Any

import pytest

from actc.errors import UsageError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

from torch import nn  # noqa: E402

from actc.torch.binary import (  # noqa: E402
    Binarize,
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    InstanceThreshold,
    IntegerScores,
    ShiftedPReLU,
    Sign,
    Surrogate,
    binarize_module,
)

X = [-2.0, -1.0, -0.75, -0.05, -0.0, 0.0, 0.25, 0.5, 1.0, 1.25, 3.0]


def gradient(sign: Any, x: list[float]) -> Any:
    tensor = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    torch.autograd.backward(sign(tensor).sum())
    return tensor.grad


@pytest.mark.parametrize("name", [kind.value for kind in Surrogate if kind.value != "square-wave"])
@pytest.mark.parametrize("trained", [True, False])
def test_the_sign_of_zero_is_one_for_all_surrogates(name: str, trained: bool) -> None:
    x = torch.tensor([-1e-30, -0.0, 0.0, 1e-30, -5.0, 5.0], requires_grad=trained)
    assert Sign(name)(x).tolist() == [-1, 1, 1, 1, -1, 1]


def test_a_square_wave_changes_its_sign_again() -> None:
    for trained in (True, False):
        x = torch.tensor([-3.0, -1.0, 0.0, 1.0, 3.0, 5.0], requires_grad=trained)
        assert Sign("square-wave")(x).tolist() == [1, -1, 1, 1, -1, 1]


def test_gradients_are_the_documented_ones() -> None:
    w = math.pi / 2
    assert gradient(Sign(), X).tolist() == [float(abs(v) <= 1) for v in X]
    assert gradient(Sign("polynomial"), X).tolist() == [max(0, 2 - 2 * abs(v)) for v in X]
    wave = [w * math.cos(w * v) for v in X]
    assert gradient(Sign("square-wave"), X).tolist() == pytest.approx(wave, abs=1e-12)
    rise = [slope if abs(v) <= 1 else 0 for v, slope in zip(X, wave, strict=True)]
    assert gradient(Sign("periodic"), X).tolist() == pytest.approx(rise, abs=1e-12)


def test_reste_is_straight_through_at_first_and_nears_the_step() -> None:
    sign = Sign("reste")
    assert gradient(sign, [-2, -1.5, -0.5, 0, 1.4]).tolist() == [0, 1, 1, 1, 1]
    sign.progress(1.0)
    found = gradient(sign, [0.0, 0.05, 0.5, 1.0, 1.6]).tolist()
    wanted = [0.1 ** (1 / 3 - 1)] * 2 + [0.5 ** (1 / 3 - 1) / 3, 1 / 3, 0]
    assert found == pytest.approx(wanted)


def test_unknown_surrogates_are_refused() -> None:
    with pytest.raises(UsageError, match="ACT0385") as caught:
        BinaryLinear(2, 2, surrogate="softer")
    assert "reste" in str(caught.value)
    with pytest.raises(UsageError, match="ACT0385"):
        Sign("periodic", frequency=0.0)


def test_linear_uses_signs_and_passes_gradients_within_one() -> None:
    layer = BinaryLinear(3, 2)
    layer.weight.data = torch.tensor([[0.2, -0.1, 0.0], [-1.5, 0.5, -0.0]])
    x = torch.tensor([[1.0, 1.0, -1.0]])
    y = layer(x)
    assert y.tolist() == [[-1.0, -1.0]]
    torch.autograd.backward(y.sum())
    assert layer.weight.grad.tolist() == [[1, 1, -1], [0, 1, -1]]
    layer.clip()
    assert layer.weight.abs().max() == 1
    layer.binary = False
    assert layer(x).tolist() == [[pytest.approx(0.1), -0.5]]


def test_latent_weights_of_waves_are_not_clipped() -> None:
    layer = BinaryLinear(1, 1, surrogate="square-wave")
    layer.weight.data.fill_(3.0)
    layer.clip()
    assert layer.weight.item() == 3.0
    assert layer(torch.ones(1, 1)).item() == -1


@pytest.mark.parametrize("border", [-1.0, 1.0])
def test_convolution_has_signs_outside_of_the_image(border: float) -> None:
    torch.manual_seed(0)
    layer = BinaryConv2d(2, 4, (3, 2), padding=1, stride=2, border=border)
    x = torch.randn(3, 2, 5, 6).sign()
    around = nn.functional.pad(x, (1, 1, 1, 1), value=border)
    wanted = nn.functional.conv2d(around, layer.weight.detach().sign(), stride=2)
    assert torch.equal(layer(x), wanted)
    # every sum has as many signs, so all have the parity of their number
    assert set((wanted % 2).abs().flatten().tolist()) == {0.0}


def test_gains_are_factors_of_channels() -> None:
    torch.manual_seed(0)
    layer = BinaryConv2d(2, 3, 3, scaled=True, groups=1)
    x = torch.randn(1, 2, 4, 4).sign()
    plain = nn.functional.conv2d(x, layer.signs())
    torch.testing.assert_close(layer(x), plain * 18**-0.5)


def test_thresholds_of_channels_shift_the_sign() -> None:
    layer = BinaryActivation(2)
    layer.threshold.data = torch.tensor([0.5, -0.5])
    assert layer(torch.zeros(1, 2, 1, 2)).tolist() == [[[[-1, -1]], [[1, 1]]]]
    assert layer(torch.tensor([[0.5, -0.5]])).tolist() == [[1, 1]]
    layer.binary = False
    assert layer(torch.tensor([[9.0, 0.0]])).tolist() == [[1, 0.5]]


def test_shifted_prelu() -> None:
    layer = ShiftedPReLU(1)
    layer.before.data.fill_(1.0)
    layer.after.data.fill_(10.0)
    assert layer(torch.tensor([[3.0], [1.0], [-3.0]])).flatten().tolist() == [12, 10, 9]


@pytest.mark.parametrize("power", [1, 3])
def test_instance_thresholds_follow_each_sample(power: int) -> None:
    layer = InstanceThreshold(1, power=power)
    layer.offset.data.fill_(0.5)
    layer.factor.data.fill_(2.0)
    x = torch.tensor([[1.0, 0.0, 0.0, 1.0], [2.0, 2.0, -2.0, -2.0]]).reshape(2, 1, 2, 2)
    # thresholds: 0.5 + 2 * 0.5 = 1.5 and 0.5 + 0
    assert layer(x).flatten(1).tolist() == [[-1, -1, -1, -1], [1, 1, -1, -1]]
    features = torch.tensor([[1.0, 3.0]])
    layer = InstanceThreshold(2, power=power)
    layer.factor.data.fill_(1.0)
    assert layer(features).tolist() == [[-1, 1 if power == 1 else -1]]


def test_first_and_last_layer_are_exact() -> None:
    first = Binarize(0.5)
    assert first(torch.tensor([[0.4, 0.5, 0.6]])).tolist() == [[-1, 1, 1]]
    assert [IntegerScores(2, n).factor for n in (64, 96, 256)] == [0.25, 0.125, 0.125]
    last = IntegerScores(2, 64, gain=4)
    assert last.factor == 0.5
    last.bias.data = torch.tensor([1.4, -2.6])
    assert last(torch.tensor([[4.0, 2.0]])).tolist() == [[2.5, -0.5]]
    torch.autograd.backward(last(torch.zeros(3, 2)).sum())
    assert last.bias.grad.tolist() == [1.5, 1.5]


def float_network() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.SiLU(),
        nn.Conv2d(4, 4, 3),
        nn.GELU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(64, 3),
    )


def test_float_networks_become_binary() -> None:
    module = float_network()
    made = binarize_module(module, weights="reste", activations="polynomial")
    kinds = [type(layer).__name__ for layer in made.modules()]
    assert [kinds.count(k) for k in ("BinaryConv2d", "BatchNorm2d", "BinaryActivation")] == [2] * 3
    assert type(made[7]) is nn.Linear
    assert type(made[6]) is nn.Identity
    assert made[0].sign.kind is Surrogate.RESTE
    assert made[2].sign.kind is Surrogate.POLYNOMIAL
    assert torch.equal(made[0].signs(), module[0].weight.sign())
    assert type(module[0]) is nn.Conv2d
    assert made(torch.randn(2, 1, 6, 6)).shape == (2, 3)
    ends = binarize_module(module, first=False, last=True)
    assert type(ends[0]) is nn.Conv2d
    assert type(ends[7][0]) is BinaryLinear
    assert type(ends[7][1]) is nn.BatchNorm1d


def test_what_cannot_become_binary_is_named() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 1, 3, padding="same"),
        nn.Conv2d(1, 1, 3, stride=(1, 2)),
        nn.Linear(4, 4),
    )
    with pytest.raises(UsageError) as caught:
        binarize_module(module)
    assert [d.code for d in caught.value.diagnostics] == ["ACT0388"] * 2
    assert "layer '1': its stride" in str(caught.value)
    with pytest.raises(UsageError, match="ACT0388"):
        binarize_module(nn.Sequential(nn.ReLU()))
