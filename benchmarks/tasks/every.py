"""All tasks."""

from __future__ import annotations

from tasks import images, minilm, packaged, silero
from tasks.base import Task

TASKS: dict[str, Task] = {
    task.name: task for task in (*packaged.TASKS, silero.TASK, minilm.TASK, *images.TASKS)
}
