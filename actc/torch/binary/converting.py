"""From a float network to a binary one of the same shape."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import nn

from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError
from actc.torch.binary.layers import BinaryActivation, BinaryConv2d, BinaryLinear, Latent
from actc.torch.binary.signs import Surrogate

ACTIVATIONS: tuple[type[nn.Module], ...] = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Hardtanh,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Softsign,
)
"""What becomes a sign."""
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def binarize_module(
    module: nn.Module,
    *,
    first: bool = True,
    last: bool = False,
    weights: str | Surrogate = Surrogate.STRAIGHT_THROUGH,
    activations: str | Surrogate = Surrogate.STRAIGHT_THROUGH,
    scaled: bool = False,
) -> nn.Module:
    """A copy of a float network with binary layers, to be trained by `train_bnn`.

    Linear and Conv2d become BinaryLinear and BinaryConv2d, whose latent weights are theirs,
    each divided by its largest; activations become BinaryActivation. Binary layers have no
    bias: one that no BatchNorm follows gets one. Dropout is left out, its noise is not needed
    beside that of signs.

    Args:
        module: the float network, which stays as it is: the teacher. Its layers are met in
            the order of `module.modules()`, which must be that of its forward.
        first: whether the weights of the first layer become binary. (Its inputs are what the
            network is given; put `Binarize` in front for signs.)
        last: whether those of the last one do.
        weights, activations: surrogates of the signs' gradients.
        scaled: whether binary layers have a learned factor per channel.

    Returns:
        the network to train.

    Raises:
        UsageError: ACT0385, there is no such surrogate; ACT0388, there is no layer to make
            binary, or layers that cannot be: all are named.
    """
    made = copy.deepcopy(module)
    layers = [(name, layer) for name, layer in made.named_modules() if isinstance(layer, _LINEAR)]
    if not first:
        layers = layers[1:]
    if not last:
        layers = layers[:-1]
    _require(module, layers)
    chosen = {id(layer) for _, layer in layers}
    _Maker(chosen, Surrogate.parse(weights), Surrogate.parse(activations), scaled).visit(made)
    return made


_LINEAR = (nn.Linear, nn.Conv2d)


class _Maker:
    """Replaces layers, container by container."""

    def __init__(
        self, chosen: set[int], weights: Surrogate, activations: Surrogate, scaled: bool
    ) -> None:
        self.chosen, self.weights, self.scaled = chosen, weights, scaled
        self.activations = activations

    def visit(self, container: nn.Module) -> None:
        children = list(container.named_children())
        for place, (name, child) in enumerate(children):
            behind = children[place + 1][1] if place + 1 < len(children) else None
            if id(child) in self.chosen:
                setattr(container, name, self.layer(child, isinstance(behind, _NORMS)))
            elif isinstance(child, ACTIVATIONS):
                setattr(container, name, BinaryActivation(surrogate=self.activations))
            elif isinstance(child, (nn.Dropout, nn.Dropout2d)):
                setattr(container, name, nn.Identity())
            else:
                self.visit(child)

    def layer(self, old: nn.Module, normed: bool) -> nn.Module:
        """The binary layer, with BatchNorm where it has none."""
        new: Latent
        norm: nn.Module
        if isinstance(old, nn.Linear):
            new = BinaryLinear(
                old.in_features, old.out_features, surrogate=self.weights, scaled=self.scaled
            )
            norm = nn.BatchNorm1d(old.out_features)
        else:
            assert isinstance(old, nn.Conv2d)
            assert isinstance(old.padding, tuple)
            new = BinaryConv2d(
                old.in_channels,
                old.out_channels,
                (old.kernel_size[0], old.kernel_size[1]),
                stride=old.stride[0],
                padding=int(old.padding[0]),
                dilation=old.dilation[0],
                groups=old.groups,
                surrogate=self.weights,
                scaled=self.scaled,
            )
            norm = nn.BatchNorm2d(old.out_channels)
        start = old.weight.detach()
        largest = start.abs().amax().clamp(min=1e-12)
        new.weight.data.copy_(start / largest)
        return new if normed else nn.Sequential(new, norm)


def _require(module: nn.Module, layers: Sequence[tuple[str, nn.Module]]) -> None:
    place = Place(type(module).__name__)
    problems = [
        Diagnostic("ACT0388", f"layer '{name}': {reason}", place=place)
        for name, layer in layers
        if (reason := _unfit(layer))
    ]
    if not layers:
        message = "the network has no Linear or Conv2d whose weights are to be binary"
        problems.append(Diagnostic("ACT0388", message, place=place, help="see first and last"))
    if problems:
        raise UsageError(problems)


def _unfit(layer: nn.Module) -> str:
    """Why a layer has no binary form here; "" when it has one."""
    if not isinstance(layer, nn.Conv2d):
        return ""
    if isinstance(layer.padding, str) or layer.padding_mode != "zeros":
        return "its padding is not a number of pixels of one value"
    for what in ("stride", "padding", "dilation"):
        sides = getattr(layer, what)
        if len(set(sides)) != 1:
            return f"its {what} differs between height and width"
    return ""
