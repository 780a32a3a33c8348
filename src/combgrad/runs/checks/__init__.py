"""Composed configurations are checked as a whole before a run makes anything.

Every key is read by the run, every argument is known to what it is given to and of its kind, and
every option that was named exists; otherwise ConfigurationError says what is wrong, where, and what
to do instead, one line for each fault.
"""

from typing import Any

from omegaconf import DictConfig, OmegaConf

from combgrad.errors import CombgradError
from combgrad.runs.checks.arguments import faulty_arguments, faulty_values
from combgrad.runs.checks.modes import faulty_mode
from combgrad.runs.checks.options import missing_options
from combgrad.runs.checks.reads import unread

__all__ = ["ConfigurationError", "check_configuration", "without_hydra"]


class ConfigurationError(CombgradError, ValueError):
    """A configuration that asks for what no run would do."""


def check_configuration(config: DictConfig) -> None:
    """ConfigurationError unless a run reads every key of a configuration not yet resolved.

    Raises OmegaConfBaseException where an interpolation leads nowhere.
    """
    # Names of options first: what follows from a misspelt one would only confuse.
    faults = missing_options(config)
    if not faults:
        values = _values(config)
        faults = [*faulty_arguments(values, config), *faulty_values(values)]
        faults += [*faulty_mode(values, config), *unread(config)]
    if faults:
        raise ConfigurationError("\n".join(faults))


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy without the `hydra` node, its interpolations still open."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _values(config: DictConfig) -> dict[str, Any]:
    """All values, without what is made of the run's name: wrong ones may have none."""
    copy = without_hydra(config)
    copy.name = "run"
    if OmegaConf.is_interpolation(copy.paths, "output"):
        copy.paths.output = "run"
    values = OmegaConf.to_container(copy, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}
