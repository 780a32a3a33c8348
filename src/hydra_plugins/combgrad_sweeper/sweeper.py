"""Hydra's door to combgrad.sweeps: `hydra/sweeper: combgrad`."""

import copy
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class CombgradSweeperConf:
    """The sweeper's settings; `retries`: how often a job is tried again after its process died."""

    _target_: str = "hydra_plugins.combgrad_sweeper.sweeper.CombgradSweeper"
    retries: int = 1


ConfigStore.instance().store(
    group="hydra/sweeper", name="combgrad", node=CombgradSweeperConf, provider="combgrad"
)


class CombgradSweeper(Sweeper):
    """Runs the jobs that a command line means and that are not done yet, by any launcher."""

    launcher: Launcher
    config: DictConfig
    hydra_context: HydraContext
    task: Any

    def __init__(self, retries: int) -> None:
        self.retries = retries
        self._launched = 0

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra gives, and the launcher that the configuration names."""
        # Hydra imports every plugin at every start, so that imports wait until a sweep is wanted.
        from hydra.core.plugins import Plugins

        from combgrad.sweeps.task import SweepTask

        self.hydra_context = hydra_context
        self.config = config
        self.task = SweepTask(task_function, script=os.path.abspath(sys.argv[0]))
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=self.task, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Carry out a sweep and return the records' metrics; JobsFailedError if any job failed."""
        from hydra.core.hydra_config import HydraConfig

        from combgrad.results.identity import digest
        from combgrad.results.store import load_records
        from combgrad.runs.configuration import scientific
        from combgrad.sweeps import checking, expansion, summary
        from combgrad.sweeps.sweep import Sweep

        # A copy, as what is set can no longer be composed with the words of a job.
        HydraConfig.instance().set_config(copy.deepcopy(self.config))
        requests = expansion.requests(arguments, self.hydra_context.config_loader)
        prepared = checking.prepare(requests, self._compose)
        self.task.checked = frozenset(digest(scientific(job.config)) for job in prepared)
        sweep = Sweep(
            prepared,
            self._launch,
            root=os.path.abspath(self.config.paths.root),
            retries=self.retries,
            rerun=bool(self.config.rerun),
        )
        if self.config.dry:
            records = load_records(*prepared[0].record_folders) if prepared else []
            summary.print_plan(sweep.progress, records, sweep.rerun)
            return []
        try:
            sweep.run()
        finally:
            summary.print_summary(sweep.progress)
        summary.raise_if_any_failed(sweep.progress)
        return [entry.record.metrics for entry in sweep.progress if entry.record is not None]

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        return self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))

    def _launch(self, overrides: Sequence[Sequence[str]]) -> Sequence[Any]:
        first = self._launched
        self._launched += len(overrides)
        return self.launcher.launch(overrides, initial_job_idx=first)
