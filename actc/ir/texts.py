"""Names and other texts of a model: protobuf hands over what is not UTF-8 as bytes."""

from __future__ import annotations

from typing import Any

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def all_are_text(proto: onnx.ModelProto) -> bool:
    """Whether every name, type and other text of a model is UTF-8, as ONNX wants it."""
    waiting: list[Message] = [proto]
    while waiting:
        for field, value in waiting.pop().ListFields():
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                waiting.extend([value] if isinstance(value, Message) else value)
            elif field.type == FieldDescriptor.TYPE_STRING and _has_bytes(value):
                return False
    return True


def _has_bytes(value: Any) -> bool:
    """Whether a text, or one of a list of texts, came as bytes."""
    return any(isinstance(item, bytes) for item in ([value] if _is_one(value) else value))


def _is_one(value: Any) -> bool:
    return isinstance(value, (str, bytes))
