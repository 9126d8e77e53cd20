"""The recipe trains binary networks: two stages, distillation, BatchNorm measured anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actc.errors import UsageError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

from torch import nn  # noqa: E402

from actc.torch.binary import (  # noqa: E402
    Binarize,
    BinaryActivation,
    BinaryLinear,
    Epoch,
    IntegerScores,
    Recipe,
    measure_norms,
    set_binary,
    train_bnn,
)
from actc.torch.binary.recipe import distance  # noqa: E402

FOLDED = Path(__file__).resolve().parent.parent / "examples" / "folded"
LEAST = 0.77
"""On 1,000 test images, after training on 1,000; guessing gives a tenth."""


def mnist(name: str) -> tuple[Any, Any]:
    with np.load(FOLDED / f"{name}.npz", allow_pickle=False) as arrays:
        return torch.from_numpy(arrays["image"]), torch.from_numpy(arrays["labels"])


def network(width: int = 64) -> Any:
    torch.manual_seed(0)
    return nn.Sequential(
        Binarize(0.5),
        BinaryLinear(784, width),
        nn.BatchNorm1d(width),
        BinaryActivation(),
        BinaryLinear(width, 10),
        IntegerScores(10, width),
    )


def small() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(
        BinaryLinear(4, 8), nn.BatchNorm1d(8), BinaryActivation(surrogate="reste"), nn.Linear(8, 2)
    )


def points() -> tuple[Any, Any]:
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
    return x, (x.sum(1) > 0).long()


def test_a_thousand_images_are_enough_to_learn_digits() -> None:
    x, y = mnist("mnist_mlp_train")
    module = network()
    recipe = Recipe(epochs=12, first_epochs=2, rate=1e-2, batch=50)
    records = train_bnn(module, x, y, recipe=recipe)
    assert [record.stage for record in records] == [1] * 2 + [2] * 12
    assert records[-1].loss < records[2].loss
    test, labels = mnist("mnist_mlp")
    with torch.no_grad():
        found = module(test).argmax(1)
    assert not module.training
    accuracy = float((found == labels).float().mean())
    assert accuracy > LEAST
    assert all(float(layer.weight.detach().abs().max()) <= 1 for layer in (module[1], module[4]))


def test_the_same_seed_gives_the_same_weights() -> None:
    x, y = points()
    made = [small() for _ in range(3)]
    for module, seed in zip(made, (1, 1, 2), strict=True):
        train_bnn(module, x, y, recipe=Recipe(epochs=2, batch=16, seed=seed))
    assert torch.equal(made[0][0].weight, made[1][0].weight)
    assert not torch.equal(made[0][0].weight, made[2][0].weight)
    assert made[0][2].sign.degree == 2.0  # of the last epoch of two


def test_a_teacher_is_followed_against_the_labels() -> None:
    x, y = points()
    right_logits = 5.0 * (1 - 2 * torch.stack([y, 1 - y], 1).float())
    recipe = Recipe(epochs=20, batch=20, rate=2e-2, distillation=1.0)
    teacher = nn.Sequential(nn.Linear(4, 2))
    teacher[0].weight.data = torch.tensor([[5.0] * 4, [-5.0] * 4])
    teacher[0].bias.data.zero_()
    for given in (-right_logits, teacher.train()):
        module, seen = small(), list[Epoch]()
        train_bnn(module, x, y, teacher=given, recipe=recipe, progress=seen.append)
        right = float((module(x).argmax(1) == y).float().mean())
        assert right < 0.3
        assert len(seen) == 20
    assert not teacher.training


def test_distance_is_the_divergence_of_probabilities() -> None:
    logits, wanted = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    p, q = (torch.softmax(v / 2, 1) for v in (wanted, logits))
    by_hand = 4 * (p * (p.log() - q.log())).sum(1).mean()
    torch.testing.assert_close(distance(logits, wanted, 2.0), by_hand)
    assert float(distance(wanted, wanted, 3.0)) == pytest.approx(0, abs=1e-6)


def test_norms_are_measured_over_all_samples() -> None:
    x, _ = points()
    module = small()
    measure_norms(module, x, batch=20)
    sums = module[0](x).detach()
    torch.testing.assert_close(module[1].running_mean, sums.mean(0))
    assert module[1].momentum == 0.1
    assert not module.training


def test_stages_are_chosen_by_layer_kind() -> None:
    module, x = small(), points()[0]
    set_binary(module, weights=False, activations=False)
    assert torch.equal(module[0](x), nn.functional.linear(x, module[0].weight))
    assert module[2](torch.tensor([0.5])).item() == 0.5
    set_binary(module)
    assert module[2](torch.tensor([0.5])).item() == 1


def test_all_that_is_out_of_range_is_named() -> None:
    x, y = points()
    recipe = Recipe(epochs=0, rate=float("nan"), distillation=2.0)
    with pytest.raises(UsageError) as caught:
        train_bnn(small(), x, y[:-1], teacher=x[:, 0], recipe=recipe)
    found = [d.code for d in caught.value.diagnostics]
    assert found == ["ACT0382", "ACT0382", "ACT0383", "ACT0383", "ACT0383"]


def test_divergence_is_an_error() -> None:
    x, y = points()
    with pytest.raises(UsageError, match="ACT0384"):
        train_bnn(nn.Linear(4, 2), x * float("inf"), y, recipe=Recipe(epochs=1))
