"""Training by a command line of Hydra's: one configuration, or a sweep over many."""

import contextlib
import os
import sys
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from combgrad.runs.command_line import in_order
from combgrad.runs.configuration import judged_by, register_resolvers
from combgrad.runs.output import write_anywhere
from combgrad.runs.places import CONFIG_FOLDER, check_start, checked_configs
from combgrad.sweeps.expansion import arranged, is_sweep

#: Hydra's own short form drops the cause of an error, so it is told to raise; the traceback is then
#: left out here, unless the caller asked for it.
TRACEBACK_WANTED = os.environ.get("HYDRA_FULL_ERROR") == "1"


def main() -> None:
    """Train what the command line of this process means; the program ends where it cannot."""
    register_resolvers()
    write_anywhere()
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        check_start(os.getcwd())
        folder = str(checked_configs(CONFIG_FOLDER))
        sys.argv[1:] = arranged(in_order(sys.argv[1:]))
        # Not as a decorator: workers find the task by its name, which must mean the bare function.
        hydra.main(version_base="1.3", config_path=folder, config_name="train")(train)()
    except KeyboardInterrupt as interrupt:
        again = "" if is_sweep(sys.argv) else " with resume=true"
        print(f"stopped; the same command{again} goes on from here", file=sys.stderr)
        sys.exit(getattr(interrupt, "exit_code", 130))
    except Exception as error:
        stop(error)


def train(config: DictConfig) -> float:
    """Run one composed configuration and return the metric it is judged by."""
    from combgrad.runs.evaluation import evaluate_checkpoint
    from combgrad.runs.run import run
    from combgrad.runs.terminal import print_debugged, print_evaluation, print_summary

    try:
        if config.mode == "test":
            evaluation = evaluate_checkpoint(config, by_command=True)
            print_evaluation(evaluation)
            return evaluation.metrics[judged_by(config)]
        record = run(config, by_command=True)
    except Exception as error:
        with contextlib.suppress(OSError):
            # Hydra has made the folder; what was refused leaves nothing in it.
            os.rmdir(HydraConfig.get().runtime.output_dir)
        if config.sweep is not None:  # the sweep will say what became of its jobs
            raise
        stop(error)
    if config.debug:
        print_debugged(record, config.debug.name, config.paths.output)
    elif config.sweep is None:  # a sweep prints one table for all its jobs
        print_summary(record)
    return record.metrics[judged_by(config)]


def stop(error: Exception) -> NoReturn:
    """End the program with one line on what was wrong, or the traceback where it is wanted."""
    if TRACEBACK_WANTED:
        raise error
    # Only now: it takes a moment to import.
    from combgrad.runs.explanations import explain

    sys.exit(explain(error, sys.argv[1:]))
