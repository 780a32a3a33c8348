"""Which numbers of a configuration a run can be made with; the rest is refused before any data."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from combgrad.arguments import LARGEST_SEED, is_number, is_whole

#: Beyond this many threads for each core they wait for each other for ever, or nearly so.
THREADS_A_CORE = 8


def _one_of(*allowed: Any) -> Callable[[Any], bool]:
    return lambda value: any(value is a or (value == a and type(value) is type(a)) for a in allowed)


def _whole_from(least: int) -> Callable[[Any], bool]:
    return lambda value: is_whole(value) and value >= least


def _positive(value: Any) -> bool:
    return value is None or (is_number(value) and 0 < value < float("inf"))


def _no_word(value: Any) -> bool:
    return not isinstance(value, str)


#: Of Lightning's, those that start their processes by the command line, as the first was.
STRATEGIES = (
    "auto",
    "ddp",
    "ddp_find_unused_parameters_true",
    "ddp_find_unused_parameters_false",
)
TRAIN_SIZE = "every epoch takes the whole training set; set data.train_size"
EVAL_SIZE = "every evaluation takes its whole set; set data.eval_size"
EPOCHS = "a training is a number of whole epochs; set trainer.max_epochs"
VALIDATED = "every epoch is validated once, at its end, to find the best one"

#: The arguments of the trainer that cannot have any value that Lightning would take: which values
#: are left, and why, or what to set instead.
ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_epochs": (_whole_from(1), "it is a whole number, at least 1"),
    "min_epochs": (lambda v: v is None or _whole_from(1)(v), "it is a whole number, at least 1"),
    "strategy": (
        lambda v: isinstance(v, Mapping) or v in STRATEGIES,
        f"what a run remembers lives in its first process; choose {', '.join(STRATEGIES)}",
    ),
    "max_steps": (_one_of(-1), EPOCHS),
    "min_steps": (_one_of(None), EPOCHS),
    "max_time": (_one_of(None), "a result must not hang on the clock; stop it and resume=true"),
    "fast_dev_run": (_one_of(False), "profile=smoke is a run of seconds"),
    "limit_train_batches": (_one_of(None, 1.0), TRAIN_SIZE),
    "overfit_batches": (_one_of(0, 0.0), TRAIN_SIZE),
    "limit_val_batches": (_one_of(None, 1.0), EVAL_SIZE),
    "limit_test_batches": (_one_of(None, 1.0), EVAL_SIZE),
    "limit_predict_batches": (_one_of(None, 1.0), "nothing is predicted"),
    "val_check_interval": (_one_of(None, 1.0), VALIDATED),
    "check_val_every_n_epoch": (_one_of(1), VALIDATED),
    "num_sanity_val_steps": (_whole_from(-1), "it is a whole number of batches, or -1 for all"),
    "log_every_n_steps": (_whole_from(0), "it is a whole number"),
    "accumulate_grad_batches": (
        _one_of(1),
        "it would divide dL/dy, which the gradient methods look at; set data.batch_size",
    ),
    "gradient_clip_val": (_positive, "it is a number above 0"),
    "num_nodes": (_one_of(1), "the processes of a run are on one machine"),
    "enable_checkpointing": (_one_of(None, True), "the last and the best epoch are tested"),
    "use_distributed_sampler": (_one_of(False), "our batches share themselves out"),
    "reload_dataloaders_every_n_epochs": (_one_of(0), "the data of a run do not change"),
    "profiler": (
        _no_word,
        "a word prints nothing here; give trainer.profiler._target_, dirpath and filename",
    ),
    "enable_autolog_hparams": (_one_of(True), "the loggers get the whole configuration"),
    "barebones": (_one_of(False), "a record needs what it switches off"),
    "model_registry": (_one_of(None), "models are not sent anywhere"),
}


def check_settings(
    seed: Any, threads: Any, trainer: Mapping[str, Any], elsewhere: bool = False
) -> None:
    """Raise ValueError for a seed, a number of threads or a trainer that no run can have.

    Where it is to run `elsewhere`, on a machine of more cores perhaps, threads are only counted.
    """
    if not is_whole(seed) or not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed is {seed!r}; it must be a whole number from 0 to {LARGEST_SEED}.")
    if not is_whole(threads) or threads < 1:
        raise ValueError(f"threads is {threads!r}; it must be a whole number, at least 1.")
    cores = os.cpu_count() or 1
    most = THREADS_A_CORE * cores
    if threads > most and not elsewhere:
        raise ValueError(
            f"threads is {threads!r}; it must be a whole number from 1 to {most}, "
            f"{THREADS_A_CORE} for each of the {cores} cores of this machine."
        )
    check_trainer(trainer)


def check_trainer(arguments: Mapping[str, Any]) -> None:
    """Raise ValueError for an argument of Lightning's trainer that would be ignored or do harm."""
    for key, (fits, why) in ALLOWED.items():
        if key in arguments and not fits(arguments[key]):
            raise ValueError(f"trainer.{key} cannot be {arguments[key]!r}: {why}.")
    if (arguments.get("min_epochs") or 1) > arguments["max_epochs"]:
        raise ValueError("trainer.min_epochs is more than trainer.max_epochs; lower it.")
