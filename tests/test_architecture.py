"""The rooms of the package and the doors between them (who may import what)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import combgrad

ROOT = Path(combgrad.__file__).parent
#: The rooms from the ground up: a room imports from floors below its own, never from beside it.
FLOORS = (
    {"arguments", "errors", "sampling"},
    {"files", "instances"},
    {"guards", "labels", "solvers"},
    {"compatibility", "networks"},
    {"gradients", "margins", "metrics", "projections", "results"},
    {"data", "layer", "pictures"},
    {"losses"},
    {"__init__", "experiments"},
    {"runs"},
    {"plans"},
    {"sweeps"},
)
#: With those outside the package: train.py, scripts, benchmarks and Hydra's plugin.
MOST_ROOMS = 28 - 4
CORE = {
    "__init__",
    "arguments",
    "compatibility",
    "errors",
    "gradients",
    "instances",
    "labels",
    "layer",
    "losses",
    "margins",
    "metrics",
    "projections",
    "sampling",
    "solvers",
}
HEAVY = ("pytorch_lightning", "hydra", "wandb", "pandas", "ray", "torchvision", "matplotlib")
#: Backends that a file imports when it is chosen; the next test shows that it is not before.
OPTIONAL = {"gurobi_tsp.py": {"gurobipy"}, "ilp_backends.py": {"gurobipy", "highspy"}}
FRAMEWORK = {"plans", "runs", "sweeps"}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Every module a file imports, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


FILES = sorted(ROOT.rglob("*.py"))
ROOMS = {room_of(path) for path in FILES}
IMPORTS = {path: imports_of(path) for path in FILES}


def uses(path: Path, *names: str) -> set[str]:
    return {m for m in IMPORTS[path] for name in names if m == name or m.startswith(f"{name}.")}


def rooms_used_by(path: Path) -> set[str]:
    return {m.split(".")[1] for m in uses(path, "combgrad") if m.count(".")} & ROOMS


def in_rooms(*rooms: str) -> list[Path]:
    return [path for path in FILES if room_of(path) in rooms]


def test_the_core_imports_only_numerical_packages():
    allowed = {"torch", "numpy", "numba", "scipy", "combgrad"} | set(sys.stdlib_module_names)
    for path in in_rooms(*CORE):
        outside = {m for m in IMPORTS[path] if m.split(".")[0] not in allowed}
        outside -= OPTIONAL.get(path.name, set())
        assert outside == set(), path
        assert rooms_used_by(path) <= CORE, path


def test_every_room_stands_on_those_below_it():
    floors = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    assert sum(map(len, FLOORS)) == len(floors) <= MOST_ROOMS
    assert {room_of(path) for path in FILES} == set(floors)
    for path in FILES:
        mine = floors[room_of(path)]
        level_or_above = {room for room in rooms_used_by(path) if floors[room] >= mine}
        assert level_or_above <= {room_of(path)}, path


def test_importing_combgrad_loads_nothing_heavy():
    code = f"""
import sys, combgrad
heavy = [m for m in {(*HEAVY, "gurobipy", "highspy")!r} if m in sys.modules]
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_compilers_and_optimisers_are_loaded_by_the_call_that_needs_them():
    """Each of them takes longer to import than the whole core."""
    code = """
import sys
from combgrad import CombinatorialLayer, gradients, losses, margins, projections, sampling, solvers
slow = {"numba", "scipy.optimize", "scipy.sparse", "scipy.special", "scipy.interpolate"}
assert not slow & {*sys.modules}, slow & {*sys.modules}
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_hydra_finds_the_sweeper_without_loading_torch():
    """Hydra imports every plugin at every start, `--help` included."""
    code = """
import sys
from hydra.core.config_store import ConfigStore
import hydra_plugins.combgrad_sweeper.sweeper
assert "torch" not in sys.modules and "combgrad" not in sys.modules
assert ConfigStore.instance().repo["hydra"]["sweeper"]["combgrad.yaml"].node.retries == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("room", ["networks", "data"])
def test_networks_and_data_know_no_gradient_method(room):
    paths = in_rooms(room)
    assert paths
    for path in paths:
        assert not uses(path, "combgrad.gradients", "combgrad.layer", "combgrad.experiments"), path


def test_networks_know_no_solver():
    for path in in_rooms("networks"):
        assert not uses(path, "combgrad.solvers"), path


def test_experiments_know_no_configuration_and_no_table():
    for path in in_rooms("experiments"):
        assert not uses(path, "hydra", "omegaconf", "wandb", "pandas", "combgrad.results"), path


def test_results_and_pictures_work_without_torch():
    for path in in_rooms("results", "pictures"):
        assert not uses(path, "torch", "pytorch_lightning", "hydra"), path


def test_only_the_framework_knows_hydra_and_nobody_wandb():
    for path in FILES:
        if room_of(path) not in FRAMEWORK:
            assert not uses(path, "hydra", "omegaconf"), path
        assert not uses(path, "wandb"), path


def test_lightning_comes_through_one_door():
    for path in FILES:
        if room_of(path) != "guards":
            assert not uses(path, "pytorch_lightning", "torchvision"), path


def test_there_is_one_autograd_function():
    classes = [
        (path.name, node.name)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any("autograd" in ast.unparse(base) for base in node.bases)
    ]
    assert classes == [("base.py", "_Solve")]


def test_files_stay_small():
    long = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {str(path): lines for path, lines in long.items() if lines > 320} == {}
