"""Layers of binary networks: weights and activations +1 and -1 in the forward pass."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from actc.torch.binary.signs import Sign, Surrogate

_START = 0.3
"""Latent weights start within this distance of 0: signs still change easily."""


class Latent(nn.Module):
    """Binary weights, kept as real numbers whose signs they are.

    Attributes:
        weight: latent, the output channels first.
        gain: a positive factor per output channel, or None.
        binary: whether weights are signs; if not, they are the latent numbers themselves.
    """

    weight: nn.Parameter
    gain: nn.Parameter | None

    def __init__(self, shape: tuple[int, ...], surrogate: str | Surrogate, scaled: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-_START, _START))
        self.sign = Sign(surrogate)
        self.binary = True
        size = math.prod(shape[1:])
        self.gain = nn.Parameter(torch.full(shape[:1], size**-0.5)) if scaled else None

    def signs(self) -> Tensor:
        """The weights as they are used, without the gain."""
        used: Tensor = self.sign(self.weight) if self.binary else self.weight
        return used

    @torch.no_grad()
    def clip(self) -> None:
        """Keep latent weights within -1..1, where gradients pass; waves need no such end."""
        if self.sign.kind is not Surrogate.SQUARE_WAVE:
            self.weight.clamp_(-1, 1)


class BinaryLinear(Latent):
    """A product with a matrix of +1 and -1, without bias: put BatchNorm behind it.

    (Hubara, Courbariaux et al., "Binarized Neural Networks", NeurIPS 2016; a gain per channel
    as in Rastegari et al., "XNOR-Net", ECCV 2016, but learned: BatchNorm takes it up.)
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        surrogate: str | Surrogate = Surrogate.STRAIGHT_THROUGH,
        scaled: bool = False,
    ) -> None:
        """Make the layer.

        Args:
            inputs, outputs: features.
            surrogate: gradient of the weights' signs.
            scaled: whether each output has a learned factor.

        Raises:
            UsageError: ACT0385, there is no such surrogate.
        """
        super().__init__((outputs, inputs), surrogate, scaled)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        y = functional.linear(x, self.signs())
        return y if self.gain is None else y * self.gain


class BinaryConv2d(Latent):
    """A convolution with weights +1 and -1, without bias.

    What lies outside of the image is +1 or -1 too, so that every product is one of signs.

    Attributes:
        stride, padding, dilation: of both axes.
        groups: of channels.
        border: the value outside.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        border: float = -1.0,
        surrogate: str | Surrogate = Surrogate.STRAIGHT_THROUGH,
        scaled: bool = False,
    ) -> None:
        """Make the layer.

        Args:
            inputs, outputs: channels.
            kernel: height and width.
            stride, padding, dilation: of both axes.
            groups: of channels; as many as inputs: depthwise.
            border: value outside of the image, +1 or -1 where products are to be of signs.
            surrogate: gradient of the weights' signs.
            scaled: whether each output channel has a learned factor.

        Raises:
            UsageError: ACT0385, there is no such surrogate.
        """
        sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        super().__init__((outputs, inputs // groups, *sides), surrogate, scaled)
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.groups, self.border = groups, border

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, H', W']."""
        if self.padding:
            x = functional.pad(x, (self.padding,) * 4, value=self.border)
        y = functional.conv2d(
            x, self.signs(), stride=self.stride, dilation=self.dilation, groups=self.groups
        )
        return y if self.gain is None else y * self.gain[:, None, None]


class BinaryActivation(nn.Module):
    """The sign of each number, above a threshold that each channel may learn.

    (RSign of Liu et al., "ReActNet: Towards Precise Binary Neural Network with Generalized
    Activation Functions", ECCV 2020. Behind BatchNorm the threshold is part of its bias.)

    Attributes:
        threshold: [C] or None.
        binary: whether the result is a sign; if not, it is clipped to -1..1.
    """

    threshold: nn.Parameter | None

    def __init__(
        self,
        channels: int | None = None,
        *,
        surrogate: str | Surrogate = Surrogate.STRAIGHT_THROUGH,
    ) -> None:
        """Make the layer.

        Args:
            channels: with a threshold for each of them; None: the threshold is 0.
            surrogate: gradient of the sign.

        Raises:
            UsageError: ACT0385, there is no such surrogate.
        """
        super().__init__()
        self.threshold = None if channels is None else nn.Parameter(torch.zeros(channels))
        self.sign, self.binary = Sign(surrogate), True

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, ...] to the same."""
        if self.threshold is not None:
            x = x - per_channel(self.threshold, x)
        return self.sign(x) if self.binary else x.clamp(-1, 1)


class ShiftedPReLU(nn.Module):
    """PReLU with learned shifts in front and behind, per channel.

    (RPReLU of ReActNet, see `BinaryActivation`. While its slopes are positive it rises, so
    that it disappears in the integer threshold of the sign behind it.)

    Attributes:
        before, after: shifts [C].
        slope: below the shift [C].
    """

    def __init__(self, channels: int) -> None:
        """Make the layer for [N, channels, ...]."""
        super().__init__()
        self.before = nn.Parameter(torch.zeros(channels))
        self.after = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.full((channels,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, ...] to the same."""
        x = x - per_channel(self.before, x)
        return functional.prelu(x, self.slope) + per_channel(self.after, x)


class InstanceThreshold(nn.Module):
    """Signs above a threshold that depends on the sample: BatchNorm, mean of powers, sign.

    The threshold of a channel is a + b * mean(x^power) over the positions of the channel, or
    over all features where there are no positions. (Lee et al., "INSTA-BNN: Binary Neural
    Network with INSTAnce-aware Threshold", ICCV 2023, with the third power; the first one
    costs hardware a sum, and nothing else.)

    Attributes:
        offset, factor: a and b, [C].
        power: 1 or 3.
        binary: whether the result is a sign; if not, it is clipped to -1..1.
    """

    def __init__(
        self,
        channels: int,
        *,
        power: int = 3,
        surrogate: str | Surrogate = Surrogate.STRAIGHT_THROUGH,
    ) -> None:
        """Make the layer for [N, channels, ...] behind BatchNorm.

        Args:
            channels: of the input.
            power: of the statistic.
            surrogate: gradient of the sign.

        Raises:
            UsageError: ACT0385, there is no such surrogate.
        """
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(channels))
        self.factor = nn.Parameter(torch.zeros(channels))
        self.power, self.sign, self.binary = power, Sign(surrogate), True

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, ...] to the same."""
        axes = tuple(range(2, x.ndim)) or (1,)
        powered = x
        for _ in range(self.power - 1):
            powered = powered * x
        mean = powered.mean(axes, keepdim=True)
        x = x - per_channel(self.offset, x) - per_channel(self.factor, x) * mean
        return self.sign(x) if self.binary else x.clamp(-1, 1)


class Binarize(nn.Module):
    """The first layer of a binary network: +1 where an input is at least a level, else -1.

    Attributes:
        level: buffer, one number or as many as features.
    """

    level: Tensor

    def __init__(self, level: float | Tensor = 0.5) -> None:
        """Make the layer.

        Args:
            level: where inputs become +1. Put it between two values that inputs can have.
        """
        super().__init__()
        self.register_buffer("level", torch.as_tensor(level, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Signs, of the shape of x."""
        return hard(x - self.level)


class IntegerScores(nn.Module):
    """The last layer: sums of signs, an integer bias per class, and one factor for all.

    The factor is a power of two, so that scores are exact in any arithmetic.

    Attributes:
        bias: [classes], in units of sums; the nearest integers are used.
        factor: of the scores.
    """

    def __init__(self, classes: int, inputs: int, gain: float = 1.5) -> None:
        """Make the layer.

        Args:
            classes: number of scores.
            inputs: features that each score is a sum of.
            gain: the factor is the power of two nearest to gain / sqrt(inputs). Factors that
                were learned on MNIST came to 1.5; large ones make a loss that is soon zero.
        """
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(classes))
        self.factor = 2.0 ** round(math.log2(gain / math.sqrt(inputs)))

    def whole(self) -> Tensor:
        """The bias as integers, with a gradient."""
        return self.bias + (self.bias.round() - self.bias).detach()

    def forward(self, x: Tensor) -> Tensor:
        """Sums [N, classes] to scores."""
        return (x + self.whole()) * self.factor


def per_channel(parameter: Tensor, x: Tensor) -> Tensor:
    """[C] as something that is broadcast along axis 1 of [N, C, ...]."""
    return parameter.reshape(-1, *[1] * (x.ndim - 2))


def hard(x: Tensor) -> Tensor:
    """Signs without a gradient."""
    signs: Tensor = Sign()(x.detach())
    return signs
