"""Mutations of ONNX models that keep them protobuf messages of the right types."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

_INTEGERS = (
    0, 1, -1, 2, 3, 7, 8, 10, 13, 16, 17, 21, 22, 23, 255, 65536, 2**31 - 1, 2**40, 2**63 - 1,
    -(2**63),
)  # fmt: skip
_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-40, 3e38, float("nan"), float("inf"))
_TEXTS = (
    "", "x", "y", "\0", "é", "../../x", "Relu", "Sigmoid", "MatMul", "If", "Loop", "Scan",
    "Constant", "QuantizeLinear", "DequantizeLinear", "Quant", "BipolarQuant", "Trunc", "Identity",
    "QLinearConv", "ai.onnx", "ai.onnx.ml", "qonnx.custom_op.general", "com.microsoft", "actc",
    "location", "offset",
)  # fmt: skip
_MOST_MESSAGES = 20_000


def mutated_onnx(data: bytes, draw: random.Random) -> bytes | None:
    """A changed model; None where `data` is none, or a large one."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        return None
    messages = list(_messages(model))
    if len(messages) > _MOST_MESSAGES:
        return None
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        _change(draw.choice(messages), messages, draw)
    return bytes(model.SerializeToString())


def _messages(message: Message, depth: int = 0) -> Iterator[Message]:
    """A message and those in it."""
    yield message
    if depth > 30:
        return
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if _repeated(message, field) else [value]:
                yield from _messages(inner, depth + 1)


def _repeated(message: Message, field: Any) -> bool:
    """Whether a field is a list; descriptors say it differently from version to version."""
    return hasattr(getattr(message, field.name), "__delitem__")


def _change(message: Message, messages: list[Message], draw: random.Random) -> None:
    """Change one field: mostly one that is there."""
    there = [field for field, _ in message.ListFields()]
    fields = there if there and draw.random() < 0.8 else list(message.DESCRIPTOR.fields)
    if not fields:
        return
    field = draw.choice(fields)
    if draw.random() < 0.08:
        message.ClearField(field.name)
    elif _repeated(message, field):
        _change_list(message, field, messages, draw)
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        part = getattr(message, field.name)
        part.SetInParent()
        _copy(part, messages, draw)
    else:
        _set(message, field, _scalar(field, getattr(message, field.name), messages, draw))


def _change_list(
    message: Message, field: Any, messages: list[Message], draw: random.Random
) -> None:
    items = getattr(message, field.name)
    kind = draw.random()
    if kind < 0.3 and len(items):
        del items[draw.randrange(len(items))]
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        if kind < 0.5 or not len(items):
            item = items.add()
            _copy(item, messages, draw)
        elif kind < 0.7:
            items.add().CopyFrom(draw.choice(list(items)))
        else:
            one, other = draw.choice(list(items)), draw.choice(list(items))
            kept = type(one)()
            kept.CopyFrom(one)
            one.CopyFrom(other)
            other.CopyFrom(kept)
    elif kind < 0.5 or not len(items):
        _attempt(lambda: items.append(_scalar(field, None, messages, draw)))
    else:
        at = draw.randrange(len(items))
        _attempt(lambda: items.__setitem__(at, _scalar(field, items[at], messages, draw)))


def _copy(target: Message, messages: list[Message], draw: random.Random) -> None:
    """Make a message the same as another one of its type."""
    same = [m for m in messages if m.DESCRIPTOR is target.DESCRIPTOR and m is not target]
    if same:
        kept = type(target)()
        kept.CopyFrom(draw.choice(same))
        target.CopyFrom(kept)


def _set(message: Message, field: Any, value: Any) -> None:
    _attempt(lambda: setattr(message, field.name, value))


def _attempt(change: Any) -> None:
    """Values that a field cannot hold leave it as it is."""
    try:
        change()
    except (TypeError, ValueError):
        return


def _scalar(field: Any, value: Any, messages: list[Message], draw: random.Random) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return draw.choice(
            (*_TEXTS, *_names(draw.choice(messages)), *_names(draw.choice(messages)))
        )
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes(value or b"", draw)
    if field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return draw.choice(_FLOATS)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return draw.randrange(24)
    return draw.choice((*_INTEGERS, (value or 0) + 1, (value or 0) - 1, -(value or 0)))


def _names(message: Message) -> list[str]:
    """Texts of a message."""
    found: list[str] = []
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            found += value if _repeated(message, field) else [value]
    return found


def _bytes(value: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(value) + 1)
    return draw.choice(
        (value[:at], value + b"\0", value[:at] + b"\xff" + value[at + 1 :], b"", value * 2)
    )
