"""What a run takes beside its bare steps: `python -m benchmarks.run_shares tsp5 dvae`.

Each is milliseconds of CPU time for each step of training, in a process that does both by turns.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch

from combgrad.runs.configuration import compose, resolved
from combgrad.runs.parts import Parts, build

EXPERIMENTS = ("tsp5", "dvae", "warcraft12")

#: A short run: enough steps and epochs for a mean, so few that evaluation weighs as in a long one.
EPOCHS = 3


class Clock:
    """CPU seconds by name, of the calls that it has been put around; nested ones count twice."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def around(self, name: str, owner: Any, method: str) -> None:
        """Put the clock `name` around a method of an object."""
        call: Callable[..., Any] = getattr(owner, method)

        @wraps(call)
        def timed(*arguments: Any, **named: Any) -> Any:
            started = time.process_time()
            try:
                return call(*arguments, **named)
            finally:
                self.seconds[name] += time.process_time() - started

        setattr(owner, method, timed)


def make(experiment: str, folder: str, words: list[str]) -> Parts:
    """The parts of a run that writes into a folder."""
    asked = [f"experiment={experiment}", f"trainer.max_epochs={EPOCHS}", "progress_bar=false"]
    asked += [f"paths.outputs={folder}/outputs", f"paths.results={folder}/results", *words]
    config = resolved(compose(asked))
    torch.set_num_threads(config.threads)
    return build(config)


def bare_seconds(parts: Parts) -> tuple[float, int]:
    """CPU seconds of an epoch of nothing but steps, and their number."""
    experiment, data = parts.experiment.train(), parts.data
    data.prepare_data()
    data.setup("fit")
    experiment.prepare(data)
    optimizer = experiment.configure_optimizers()
    batches = data.train_dataloader()
    started = time.process_time()
    for batch in batches:
        experiment.step(batch, "train")[0].backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.process_time() - started, len(batches)


def shares(experiment: str, words: list[str]) -> dict[str, float]:
    """Milliseconds a step: of bare steps, of a run's training, and of what that consists of."""
    with tempfile.TemporaryDirectory() as folder:
        bare_parts, parts = (make(experiment, folder, words) for _ in range(2))
        bare = [bare_seconds(bare_parts)]
        clock, trainer = Clock(), parts.trainer
        loops = trainer.fit_loop.epoch_loop
        clock.around("all of the training", trainer.fit_loop, "run")
        clock.around("steps in the run", trainer.strategy, "optimizer_step")
        clock.around("evaluation", loops.val_loop, "run")
        clock.around("checkpoints", trainer, "save_checkpoint")
        for logger in trainer.loggers:
            for method in ("log_metrics", "save"):
                clock.around("loggers", logger, method)
        trainer.fit(parts.experiment, parts.data)
        bare.append(bare_seconds(bare_parts))
    found = {"bare steps": min(seconds / steps for seconds, steps in bare)}
    steps = trainer.global_step
    found |= {name: seconds / steps for name, seconds in clock.seconds.items()}
    named = ("steps in the run", "evaluation", "checkpoints", "loggers")
    found["the rest"] = found["all of the training"] - sum(found.get(name, 0.0) for name in named)
    return {name: 1e3 * seconds for name, seconds in found.items()}


def main() -> None:
    """Print the shares of the experiments named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiments", nargs="*", default=EXPERIMENTS)
    parser.add_argument("--with", dest="words", nargs="*", default=[], help="overrides of each run")
    asked = parser.parse_args()
    for experiment in asked.experiments:
        found = shares(experiment, list(asked.words))
        print(f"\n{experiment}: ms a step, and as a share of the bare step")
        for name, value in found.items():
            print(f"  {name:20s} {value:8.2f} {value / found['bare steps']:7.0%}")


if __name__ == "__main__":
    main()
