"""The `onnx` target: golden.onnx itself, and a QDQ variant for other runtimes."""

from __future__ import annotations

from actc.targets.onnx.target import OnnxTarget

__all__ = ["OnnxTarget"]
