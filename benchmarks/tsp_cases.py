"""TSP: sphere, noisy and collapsed costs; the solver alone and in the layer; against Gurobi."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.cases import Case, Plan, layer, solving
from combgrad.data.globe.sphere import edge_distances
from combgrad.gradients import Blackbox, GradientMethod, Identity
from combgrad.projections import Std
from combgrad.solvers import TSP, GurobiTSP

SIZES = (5, 10, 20, 30)
BATCH = 50

#: From this many cities on a batch is worth two threads.
LARGE = 20

#: The strength of the blackbox gradient, as tuned for TSP in the configs.
LAM = 20.0
REFERENCE = "Gurobi"


def cities_on_sphere(cities: int, seed: int) -> Tensor:
    """Random unit vectors (B, k, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(BATCH, cities, 3, generator=generator), dim=-1)


def sphere(cities: int) -> Tensor:
    """Chord distances between random cities, (B, E)."""
    return edge_distances(cities_on_sphere(cities, seed=cities))


def noisy(cities: int) -> Tensor:
    """Chord distances with noise of +0.1 or -0.1, standardised, (B, E): what training asks."""
    distances = sphere(cities)
    generator = torch.Generator().manual_seed(1000 + cities)
    signs = torch.randint(0, 2, distances.shape, generator=generator) * 2 - 1
    return Std()(distances + 0.1 * signs)


def collapse(cities: int, clusters: int = 4, spread: float = 1e-3) -> Tensor:
    """Standardised chord distances of near-duplicate cities, (B, E): a network that collapsed."""
    centres = cities_on_sphere(clusters, seed=2000 + cities)
    generator = torch.Generator().manual_seed(3000 + cities)
    scatter = spread * torch.randn(BATCH, cities, 3, generator=generator)
    points = centres[:, torch.arange(cities) % clusters] + scatter
    return Std()(edge_distances(torch.nn.functional.normalize(points, dim=-1)))


def recorded_collapse() -> Tensor | None:
    """Standardised costs (800, 190) recorded in training, where COMBGRAD_DATA has them."""
    folder = os.environ.get("COMBGRAD_DATA")
    path = Path(folder or "") / "tsp_collapse" / "costs_k20.npz"
    if not folder or not path.is_file():
        return None
    with np.load(path) as archive:
        return torch.from_numpy(archive["std"])


def solver_case(what: str, cities: int, costs: Callable[[], Tensor], threads: int) -> Case:
    """The solver alone against Gurobi."""
    return Case(
        what,
        cities,
        costs(),
        (
            solving(REFERENCE, GurobiTSP),
            solving("combgrad", TSP),
            *(solving("combgrad", TSP, threads=n) for n in range(2, threads + 1)),
        ),
    )


def hamming_slope(cities: int) -> Tensor:
    """dL/dy of the mean Hamming loss of `noisy` solutions against the tours of `sphere`."""
    return (1 - 2 * TSP()(sphere(cities))) / BATCH


def layer_case(name: str, gradient: GradientMethod, cities: int) -> Case:
    """The layer forward and backward, with our solver against Gurobi in the same layer."""
    upstream = hamming_slope(cities)
    return Case(
        f"tsp noisy, layer {name}",
        cities,
        noisy(cities),
        (
            layer(REFERENCE, GurobiTSP, gradient, upstream),
            layer("combgrad", TSP, gradient, upstream),
        ),
    )


def tsp_plans(threads: int) -> list[Plan]:
    """All cases; those with many cities also at 2 threads where the machine has them."""
    plans = []
    for what, make, sizes in (
        ("tsp sphere", sphere, SIZES),
        ("tsp noisy", noisy, SIZES),
        ("tsp collapse", collapse, (20,)),
    ):
        for cities in sizes:
            build = partial(
                solver_case,
                what,
                cities,
                partial(make, cities),
                threads if cities >= LARGE else 1,
            )
            plans.append(Plan(f"{what} {cities}", build, quick=what == "tsp noisy" and cities < 30))
    recorded = recorded_collapse()
    if recorded is not None:
        build = partial(solver_case, "tsp collapse, recorded", 20, lambda: recorded, threads)
        plans.append(Plan("tsp collapse, recorded 20", build))
    for name, gradient in (("identity", Identity()), ("blackbox", Blackbox(LAM))):
        for cities in SIZES:
            build = partial(layer_case, name, gradient, cities)
            plans.append(Plan(f"tsp layer {name} {cities}", build, quick=cities == 10))
    return plans
