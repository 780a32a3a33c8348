"""Every part that can be chosen, for the tests that hold for all of them.

A new part is found by its YAML. It needs a row here only where that leaves a value open (`???`).
"""

import copy
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, read_write

from combgrad.gradients.base import GradientMethod
from combgrad.runs.configuration import CONFIG_FOLDER
from combgrad.solvers import TSP, Ranking, Solver, TopK

#: group -> option -> words for the values that its YAML leaves open.
ARGUMENTS: dict[str, dict[str, list[str]]] = {
    "solver": {
        "cached": ["solver.solver={_target_: combgrad.solvers.TSP}"],
        "from_function": ["solver.f.path=numpy.sign"],
        "graph_shortest_path": [
            "solver.edges=[[0,1],[1,2]]", "solver.nodes=3", "solver.start=0", "solver.end=2"
        ],
        "ilp": ["solver.A=[[1,1,1]]"],
        "knapsack": ["solver.weights=[1,2]", "solver.capacity=2"],
        "portfolio": ["solver.covariance=[[1,0],[0,1]]", "solver.risk_budget=0.75"],
    },
    "proj": {"plane": ["proj.a=[1,2,0.5,3,-1,1]"]},
}  # fmt: skip

#: Options for certain solvers or data alone, or that need a further package: they have own tests.
APART = {
    "grad": {"cvxpylayers", "qptl"},
    "loss": {"sinkhorn", "soft_alignment"},
    "solver": {"of_data"},
}

#: Losses of another solver's solutions than those of `TopK(3)`, their targets three entries too.
OTHER_SOLVERS = {"recall": Ranking()}


def options(group: str) -> list[str]:
    """All options of a group."""
    return sorted(path.stem for path in (CONFIG_FOLDER / group).glob("*.yaml"))


def words(group: str, option: str) -> list[str]:
    """The words that choose an option and complete it."""
    return [f"{group}={option}", *ARGUMENTS.get(group, {}).get(option, [])]


def missing(group: str, option: str) -> list[str]:
    """The keys that are still open when an option's row is added to its YAML."""
    return _open_keys(OmegaConf.to_container(_node(group, option)))


def _open_keys(value: Any, key: str = "") -> list[str]:
    if isinstance(value, dict):
        return [k for name in value for k in _open_keys(value[name], f"{key}.{name}".strip("."))]
    return [key] if value == "???" else []


def complete(group: str) -> list[str]:
    """The options that the common tests can build; `missing` tells what the others lack."""
    found = [option for option in options(group) if not missing(group, option)]
    return [option for option in found if option not in APART.get(group, ())]


def build(group: str, option: str) -> Any:
    """An option of a group without interpolations, built as its YAML and its row say."""
    return instantiate(_node(group, option))


def _node(group: str, option: str) -> Any:
    node = OmegaConf.load(CONFIG_FOLDER / group / f"{option}.yaml")
    given = OmegaConf.from_dotlist(ARGUMENTS.get(group, {}).get(option, []))
    return OmegaConf.merge(node, given.get(group, {}))


def swapped(config: DictConfig, group: str, option: str) -> DictConfig:
    """A composed configuration with another option of a group, as where no other file knows of it.

    For tests of many options: Hydra would take a fifth of a second for each.
    """
    other = copy.deepcopy(config)
    other[group] = _node(group, option)
    with read_write(other.hydra):
        other.hydra.runtime.choices[group] = option
    HydraConfig.instance().set_config(other)
    return other


def without_words(config: DictConfig) -> dict[str, Any]:
    """All but the words that were typed, and what is made of them."""
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    return {key: value for key, value in plain.items() if key not in ("hydra", "overrides")}


#: The losses that the common tests hold for.
LOSSES = sorted(set(complete("loss")) - {"none"})


def fitting(method: GradientMethod) -> Solver:
    """A solver that a method fits; all its solutions of ten costs have five ones."""
    return TSP() if method.requires <= TSP().traits else TopK(5)
