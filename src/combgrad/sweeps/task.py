"""What a launcher carries to a worker: the run itself, and all a bare process lacks for it."""

from typing import Any

from hydra.types import TaskFunction

from combgrad.configuration import register_resolvers

# A worker imports this file to unpickle its task, before Hydra composes the job there.
register_resolvers()


class SweepTask:
    """The task of a sweep's jobs."""

    def __init__(self, task: TaskFunction) -> None:
        self.task = task

    def __call__(self, config: Any) -> Any:
        """Carry out one composed job."""
        return self.task(config)
