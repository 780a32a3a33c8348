"""Train one configuration, or sweep over many: `python train.py --help`."""

import os
import sys

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from combgrad.configuration import register_resolvers
from combgrad.errors import CombgradError
from combgrad.sweeps.expansion import arranged, is_sweep
from combgrad.terminal import explain, print_summary

EXPLAINED = (CombgradError, HydraException, OmegaConfBaseException, ValueError, OSError)

register_resolvers()


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
def main(config: DictConfig) -> float:
    """Run one composed configuration and return the metric it is judged by."""
    from combgrad.run import run

    record = run(config)
    if config.sweep is None:  # a sweep prints one table for all its jobs
        print_summary(record)
    return record.metrics[config.monitor.metric.replace("val/", "test/")]


if __name__ == "__main__":
    # Hydra's own short form drops the cause of an error, so it is told to raise; the traceback is
    # then left out here, unless the caller asked for it.
    traceback_wanted = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        sys.argv[1:] = arranged(sys.argv[1:])
        main()
    except EXPLAINED as error:
        if traceback_wanted:
            raise
        sys.exit(explain(error, sys.argv[1:]))
    except KeyboardInterrupt as stop:
        again = "" if is_sweep(sys.argv) else " with resume=true"
        print(f"stopped; the same command{again} goes on from here", file=sys.stderr)
        sys.exit(getattr(stop, "exit_code", 130))
