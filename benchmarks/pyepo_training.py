"""Trainings by PyEPO beside our records of the same: `python -m benchmarks.pyepo_training --help`.

Network, first weights, instances, batches, optimizer and epochs are those of our run of the same
experiment and seed. Everything else is PyEPO's: generator, model, data set, loss and regret.
"""

import argparse
import importlib
import json
import logging
import tempfile
import time
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from benchmarks.pyepo_methods import METHODS, Judge, Problem, problem_of
from combgrad.data.decisions.datamodule import Decisions
from combgrad.data.splits import SPLITS
from combgrad.files.writing import write_text_atomically
from combgrad.metrics import normalised_regret
from combgrad.runs.configuration import compose
from combgrad.runs.parts import Parts, build

TASKS = ("pto_shortest_path", "pto_knapsack", "pto_tsp", "pto_portfolio")
FILE = Path("results/bench/pyepo_training.json")


@dataclass(frozen=True)
class Training:
    """A training by PyEPO.

    Attributes:
        task: our experiment.
        method: a name in METHODS.
        seed: of instances, weights and order.
        solver: `own` for a model of PyEPO's, `ours` for an optModel of our solver.
        noise: the seed of PyEPO's noise.
        key: that of our run.
        last, best: normalised regret of the test set by PyEPO's `metric.regret`, after the last
            epoch and the one that is best in validation.
        best_epoch: from 0.
        seconds: processor time of the training steps.
    """

    task: str
    method: str
    seed: int
    solver: str
    noise: int
    key: str
    last: float
    best: float
    best_epoch: int
    seconds: float

    @property
    def what(self) -> tuple[str, str, int, str, int]:
        """Which training it is."""
        return self.task, self.method, self.seed, self.solver, self.noise


@dataclass(frozen=True)
class Stage:
    """PyEPO's data sets of a draw, with true solutions by its model."""

    problem: Problem
    train: Any
    test: Any


def our_run(task: str, words: Iterable[str], seed: int) -> Parts:
    """The parts of our run, with its first weights."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"paths.outputs={folder}", f"paths.results={folder}"]
        asked = [f"experiment={task}", *words, f"seed={seed}", "profile=reduced", *paths]
        return build(compose([*asked, "pictures=false", "logger=none", "progress_bar=false"]))


@lru_cache(maxsize=1)
def staged(task: str, seed: int, own: bool) -> Stage:
    """The data sets; ValueError where PyEPO draws other instances than we do."""
    data: Decisions = our_run(task, (), seed).data
    problem = problem_of(data, own)
    sets, start = {}, 0
    for split in SPLITS:
        columns = data.columns(split)
        part = slice(start, start + len(columns["features"]))
        features, costs = problem.features[part], problem.costs[part]
        for name, theirs in (("features", features), ("true_costs", problem.sense * costs)):
            if not np.array_equal(columns[name].numpy(), theirs.astype(np.float32)):
                raise ValueError(f"{task}, {split}: {name} are not those that PyEPO draws.")
        if split != "val":
            dataset = importlib.import_module("pyepo.data.dataset").optDataset
            sets[split] = dataset(problem.model, features, costs)
        start = part.stop
    return Stage(problem, **sets)


def step(net: nn.Module, optimizer: Any, loss: Judge, stage: Stage, rows: Tensor) -> None:
    """One step of training on a batch."""
    optimizer.zero_grad()
    known = stage.train
    loss(net(known.feats[rows]), known.costs[rows], known.sols[rows], known.objs[rows]).backward()
    optimizer.step()


@torch.no_grad()
def validation(parts: Parts) -> float:
    """The normalised regret by our solver, which chooses the best epoch."""
    columns, experiment = parts.data.columns("val"), parts.experiment
    found = experiment.layer.solver(experiment.net(columns["features"]))
    return float(normalised_regret(found, columns["target"], columns["true_costs"]))


class InSense(nn.Module):
    """A network whose predictions of costs PyEPO reads as it means them."""

    def __init__(self, net: nn.Module, sense: float) -> None:
        super().__init__()
        self.net, self.sense = net, sense

    def forward(self, features: Tensor) -> Tensor:
        """Costs, or values (B, n)."""
        predicted: Tensor = self.sense * self.net(features)
        return predicted


def measured(net: nn.Module, stage: Stage) -> float:
    """The normalised regret of the test set as PyEPO measures it."""
    regret = importlib.import_module("pyepo.metric").regret
    return float(regret(net, stage.problem.model, DataLoader(stage.test, batch_size=500)))


def train(task: str, method: str, seed: int, own: bool, noise: int) -> Training:
    """Train by PyEPO, and measure."""
    parts, stage = our_run(task, METHODS[method].words, seed), staged(task, seed, own)
    net = InSense(parts.experiment.net, stage.problem.sense)
    epochs = parts.trainer.max_epochs or 1
    schedule = parts.experiment._schedule
    optimizer: Any = parts.experiment.configure_optimizers()
    rates = [group["lr"] for group in optimizer.param_groups]
    func = importlib.import_module("pyepo.func")
    loss = METHODS[method].make(func, stage.problem.model, stage.train, noise)
    batches: Any = parts.data.train_dataloader().sampler
    best, best_epoch, best_net, seconds = np.inf, 0, net, 0.0
    for epoch in range(epochs):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (schedule(epoch / epochs) if schedule else 1.0)
        batches.set_epoch(epoch)
        started = time.process_time()
        for rows in batches:
            step(net, optimizer, loss, stage, rows)
        seconds += time.process_time() - started
        lost = validation(parts)
        if lost < best:
            best, best_epoch, best_net = lost, epoch, deepcopy(net)
    return Training(
        task=task,
        method=method,
        seed=seed,
        solver="own" if own else "ours",
        noise=noise,
        key=parts.key,
        last=measured(net, stage),
        best=measured(best_net, stage),
        best_epoch=best_epoch,
        seconds=round(seconds, 2),
    )


def load(path: Path) -> list[Training]:
    """The trainings that a file has; none where there is no file."""
    if not path.exists():
        return []
    return [Training(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def save(path: Path, found: list[Training]) -> None:
    """Write trainings, one a line."""
    order = {name: place for place, name in enumerate([*TASKS, *METHODS])}
    rows = sorted(found, key=lambda t: (order[t.task], order[t.method], *t.what[2:]))
    lines = ",\n".join(json.dumps(asdict(row), ensure_ascii=False) for row in rows)
    write_text_atomically(path, f"[\n{lines}\n]\n")


def main() -> None:
    """Train what is asked for and not yet in the file, by one process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=tuple(METHODS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--solver", choices=("own", "ours"), default="own", help="PyEPO's, or ours as an optModel"
    )
    parser.add_argument("--noise", type=int, help="seed of PyEPO's noise; that of the run if none")
    parser.add_argument("--file", type=Path, default=FILE)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    found = load(asked.file)
    for task in asked.tasks:
        for seed in asked.seeds:
            for method in asked.methods:
                noise = seed if asked.noise is None else asked.noise
                if (task, method, seed, asked.solver, noise) in {done.what for done in found}:
                    continue
                found.append(train(task, method, seed, asked.solver == "own", noise))
                save(asked.file, found)
                print(found[-1], flush=True)


if __name__ == "__main__":
    main()
