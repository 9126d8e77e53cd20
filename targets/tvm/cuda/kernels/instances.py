"""Thresholds of the sample: a thread per channel, or per sample where channels share one."""

from __future__ import annotations

from typing import Any

from tvm import tirx

from actc.targets.tvm.cuda.kernels.thread import device_func, each_item
from actc.targets.tvm.kernels.elementwise import View, loops, open_views
from actc.targets.tvm.kernels.instance_spec import InstanceSteps
from actc.targets.tvm.kernels.instances import InstanceWork


def instance_steps(name: str, spec: InstanceSteps) -> Any:
    """The kernel of :class:`InstanceSteps`."""

    def body(n: Any) -> None:
        batch = tirx.Cast("int64", n)
        x = View("x", spec.x, batch)
        work = InstanceWork(spec, x)
        out = View("out", spec.out, batch)
        with each_item(n, 1 if spec.shared else spec.channels) as (sample, item):
            open_views(x, out)
            work.allocate()
            work.clear()
            place = tirx.Cast("int64", sample)
            if not spec.shared:
                channel = tirx.Cast("int64", item)
                work.add(place, channel)
                work.decide(place, channel, out)
                return
            with loops([spec.channels]) as (channel,):
                work.add(place, channel)
            with loops([spec.channels]) as (channel,):
                work.decide(place, channel, out)

    return device_func(name, body)
