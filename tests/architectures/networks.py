"""Every network by name, with the data that it takes, and its export to ONNX. Needs torch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from architectures import classifiers, dense, images, sequences
from architectures.blocks import batch_norm

Array = np.ndarray[Any, Any]
Make = Callable[[], nn.Module]
Draw = Callable[[np.random.Generator], Array]

SAMPLES = 64
NOISE = 0.05
"""Largest relative RMS error of an output of the integer model."""


@dataclass(frozen=True)
class Network:
    """A network with the shape and kind of each of its inputs."""

    make: Make
    inputs: dict[str, Draw]


def normal(*shape: int) -> Draw:
    return lambda rng: rng.standard_normal((SAMPLES, *shape)).astype(np.float32)


def uniform(*shape: int) -> Draw:
    return lambda rng: rng.random((SAMPLES, *shape), np.float32)


def integers(high: int, dtype: Any, *shape: int) -> Draw:
    return lambda rng: rng.integers(0, high, (SAMPLES, *shape)).astype(dtype)


def prefixes(length: int) -> Draw:
    """Masks of 1 up to some position, and 0 behind it."""

    def draw(rng: np.random.Generator) -> Array:
        return (np.arange(length) < rng.integers(1, length + 1, (SAMPLES, 1))).astype(np.int64)

    return draw


def on(shape: tuple[int, ...], *makes: tuple[str, Make]) -> dict[str, Network]:
    return {name: Network(make, {"x": normal(*shape)}) for name, make in makes}


LARGE, SMALL = (3, 32, 32), (3, 16, 16)
NETWORKS: dict[str, Network] = {
    **on(
        LARGE,
        ("resnet", classifiers.ResNet),
        ("resnet-gelu", lambda: classifiers.ResNet(nn.GELU)),
        ("mobilenet-v2", classifiers.MobileNetV2),
        ("mobilenet-v3", classifiers.MobileNetV3),
        ("efficientnet", classifiers.EfficientNet),
        ("convnext", classifiers.ConvNeXt),
    ),
    **on(
        SMALL,
        ("preactivation-resnet", classifiers.PreActResNet),
        ("densenet", classifiers.DenseNet),
        ("shufflenet-v1", classifiers.ShuffleNetV1),
        ("shufflenet-v2", classifiers.ShuffleNet),
        ("unet-transposed", lambda: images.UNet("transpose")),
        ("unet-nearest", lambda: images.UNet("nearest")),
        ("unet-bilinear", lambda: images.UNet("bilinear")),
        ("transposed-convolutions", images.TransposedConvolutions),
        ("nearest-to-size", lambda: images.NearestToSize((11, 13))),
        ("pixel-shuffle", images.PixelShuffle),
        ("feature-maps", images.FeatureMaps),
        ("average-pool", lambda: images.AveragePools(0, True)),
        ("average-pool-include", lambda: images.AveragePools(1, True)),
        ("average-pool-exclude", lambda: images.AveragePools(1, False)),
        ("average-pool-ceil", lambda: images.AveragePools(1, False, True)),
        ("inception", images.InceptionBlock),
        ("max-head", images.MaxHead),
        ("min-head", images.MinPool),
        ("focus", images.Focus),
        ("prelu", images.ParametricRelu),
        ("pad-constant", lambda: images.Padded("constant")),
        ("pad-reflect", lambda: images.Padded("reflect")),
        ("pad-replicate", lambda: images.Padded("replicate")),
        ("pad-in-front-of-pool", images.PadInFrontOfPool),
        ("group-norm", lambda: images.Normalization(lambda: nn.GroupNorm(2, 8))),
        ("instance-norm", lambda: images.Normalization(lambda: nn.InstanceNorm2d(8))),
        ("layer-norm-image", images.LayerNormOverImage),
        ("head-flatten", lambda: images.ReshapeHead("flatten")),
        ("head-reshape", lambda: images.ReshapeHead("reshape")),
        ("head-view", lambda: images.ReshapeHead("view")),
        ("head-permute", lambda: images.ReshapeHead("unflat")),
        ("mixer", sequences.Mixer),
        ("vit", sequences.ViT),
        ("vision-transformer", sequences.VisionTransformer),
    ),
    **on(
        (12,),
        ("glu", dense.GatedLinear),
        ("swiglu", dense.SwishGated),
        ("geglu", dense.GeluGatedPacked),
        ("swish-beta", dense.SwishBeta),
        ("kan-gaussian", dense.GaussianKan),
        ("mlp-gelu", lambda: dense.Perceptron(nn.GELU)),
        ("mlp-batch-norm", lambda: dense.Perceptron(nn.SiLU, lambda c: batch_norm(c, 1))),
        ("mlp-layer-norm", lambda: dense.Perceptron(nn.ELU, nn.LayerNorm)),
        ("softmax", dense.SoftmaxHead),
        ("rms-norm", lambda: dense.RmsNorm(True)),
        ("own-layer-norm", dense.OwnLayerNorm),
        ("autoencoder", dense.Autoencoder),
        ("highway", dense.Highway),
        ("quotient", dense.Quotient),
        ("maxout", dense.MaxOut),
        ("dueling", dense.Dueling),
        ("actor", dense.Actor),
        ("unit-length", dense.UnitLength),
    ),
    **on((6,), ("kan-sine", dense.SineKan)),
    **on((4, 32), ("causal", sequences.CausalConvolutions), ("wavenet", sequences.TanhSigmoidGate)),
    **on((4, 64), ("conv-1d", sequences.Conv1dNet)),
    **on((4, 16), ("upsampler", sequences.Upsampler)),
    **on((2, 64), ("snake", sequences.SnakeNet)),
    **on((6, 8), ("attention-pooling", sequences.AttentionPooling)),
    **on((6, 4), ("graph-convolution", sequences.GraphConvolution)),
    **on((5, 6), ("scores-and-features", sequences.ScoresAndFeatures)),
    **on((5, 16), ("transformer", sequences.TransformerLayer)),
    **on((6, 8), ("window-attention", sequences.WindowAttention)),
    "gru": Network(lambda: sequences.Recurrent(nn.GRU), {"x": normal(6, 4)}),
    "lstm": Network(lambda: sequences.Recurrent(nn.LSTM), {"x": normal(6, 4)}),
    "two-inputs": Network(dense.TwoInputs, {"image": normal(1, 16, 16), "meta": normal(5)}),
    "normalised": Network(images.Normalised, {"x": uniform(*SMALL)}),
    "uint8-image": Network(images.Uint8Image, {"x": integers(256, np.uint8, 16, 16, 3)}),
    "integer-features": Network(dense.IntFeatures, {"x": integers(50, np.int32, 6)}),
    "tokens-convolution": Network(sequences.EmbedConv, {"i": integers(30, np.int64, 12)}),
    "attention-padded": Network(
        lambda: sequences.MultiheadAttention(False), {"i": integers(30, np.int64, 12)}
    ),
    "attention-causal": Network(
        lambda: sequences.MultiheadAttention(True), {"i": integers(30, np.int64, 12)}
    ),
    **{
        f"bert-{kind}": Network(
            functools.partial(sequences.Encoder, kind),
            {"input_ids": integers(30, np.int64, 12), "attention_mask": prefixes(12)},
        )
        for kind in ("add", "old", "fill", "sdpa")
    },
    "log-softmax": Network(lambda: dense.SoftmaxHead(True), {"x": normal(12)}),
    "kan-spline": Network(dense.SplineKan, {"x": normal(6)}),
    "tokens-mean": Network(sequences.EmbedBag, {"i": integers(30, np.int64, 12)}),
    "tokens-positions": Network(sequences.EmbedPos, {"i": integers(30, np.int64, 12)}),
}
"""Networks that compile."""


def export(
    network: Network, path: Path, *, dynamo: bool, opset: int | None = None, dynamic: bool = True
) -> dict[str, Array]:
    """Write a network as ONNX, as a user would; returns its data."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    model = network.make().eval()
    arrays = {name: draw(generator) for name, draw in network.inputs.items()}
    arguments = tuple(torch.from_numpy(array[:2]) for array in arrays.values())
    options: dict[str, Any] = {} if opset is None else {"opset_version": opset}
    if dynamo:
        options["external_data"] = False
        if dynamic:
            options["dynamic_shapes"] = tuple({0: torch.export.Dim("batch")} for _ in arguments)
    elif dynamic:
        options["dynamic_axes"] = {name: {0: "batch"} for name in arrays}
    torch.onnx.export(
        model, arguments, path, input_names=list(arrays), dynamo=dynamo, verbose=False, **options
    )
    return arrays
