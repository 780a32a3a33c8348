"""What a case of the benchmark is, and how it is measured."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import Clock, Effort, interleave, using_threads
from combgrad.errors import SolverUnavailableError
from combgrad.gradients import GradientMethod
from combgrad.layer import CombinatorialLayer
from combgrad.solvers import Solver

#: Two objective values are equal where they differ by no more than this, relative.
TOLERANCE = 1e-9

Call = Callable[[], Any]


def as_it_is(result: Any) -> Any:
    """The result of a call that is already the solution (B, *S)."""
    return result


@dataclass(frozen=True)
class Implementation:
    """One way of solving: `prepare(costs)` returns the call to time, `decode` reads its result.

    `foreign` code is left out with a note where it fails; ours fails loudly.
    """

    name: str
    prepare: Callable[[Tensor], Call]
    threads: int = 1
    foreign: bool = False
    decode: Callable[[Any], Tensor] = as_it_is

    @property
    def label(self) -> str:
        """The name with the number of threads, unique within a case."""
        return f"{self.name} ({self.threads} threads)" if self.threads > 1 else self.name


@dataclass(frozen=True)
class Case:
    """Implementations of one problem on one batch; the first of them is the reference.

    `random` where every call draws noise: the solutions then say nothing about each other. `slack`
    where not even the reference is exact: a solution counts that costs at most that share more.
    """

    what: str
    size: int
    costs: Tensor
    implementations: tuple[Implementation, ...]
    random: bool = False
    slack: float | None = None


@dataclass(frozen=True)
class Plan:
    """A case to build when its turn comes, and whether `--quick` includes it."""

    title: str
    build: Callable[[], Case]
    quick: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the result; times are those of a batch, the ratio is time over reference time."""

    what: str
    size: int
    batch: int
    impl: str
    threads: int
    ms_median: float
    ms_min: float
    ratio_to_reference: float | None
    exact: bool | None


@dataclass(frozen=True)
class Probe:
    """Rows that are measured in a way of their own, and whether `--quick` includes them."""

    title: str
    take: Callable[[], list[Row]]
    quick: bool = False


@dataclass
class Findings:
    """What measuring leaves: rows, notes, and what first calls cost beyond a later one, seconds."""

    rows: list[Row] = field(default_factory=list)
    cold_seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def function(name: str, solve: Callable[[Tensor], Any], **options: Any) -> Implementation:
    """A function of the costs."""
    return Implementation(name, lambda costs: partial(solve, costs), **options)


def solving(name: str, make: Callable[[], Solver], **options: Any) -> Implementation:
    """A solver, made once and called on the batch."""
    return Implementation(name, lambda costs: partial(make(), costs), **options)


def forward_backward(
    name: str, make: Callable[[], Callable[[Tensor], Tensor]], upstream: Tensor, **options: Any
) -> Implementation:
    """A differentiable function, forward and backward with dL/dsolution `upstream` (B, *S)."""

    def prepare(costs: Tensor) -> Call:
        solve = make()

        def step() -> Tensor:
            solution = solve(costs.clone().requires_grad_())
            solution.backward(upstream)
            return solution.detach()

        return step

    return Implementation(name, prepare, **options)


def layer(
    name: str,
    make: Callable[[], Solver],
    gradient: GradientMethod,
    upstream: Tensor,
    **options: Any,
) -> Implementation:
    """A solver in our layer, forward and backward."""
    return forward_backward(name, lambda: CombinatorialLayer(make(), gradient), upstream, **options)


def objectives(costs: Tensor, solution: Tensor) -> tuple[Tensor, Tensor]:
    """<w, y> and <|w|, |y|>, (B,) each in float64, of costs and solutions (B, *S)."""
    terms = (costs.double() * solution.double()).flatten(1)
    return terms.sum(dim=1), terms.abs().sum(dim=1)


def same_objective(costs: Tensor, solution: Tensor, reference: Tensor) -> bool:
    """Whether all objective values agree, relative to the sum of the terms' sizes."""
    if solution.shape != reference.shape or not bool(torch.isfinite(solution).all()):
        return False
    value, _ = objectives(costs, solution)
    wanted, size = objectives(costs, reference)
    return bool(((value - wanted).abs() <= TOLERANCE * size).all())


def is_as_good(case: Case, solution: Tensor, reference: Tensor) -> bool | None:
    """Whether a solution holds beside the reference's, as the case counts; None where it cannot."""
    if case.random:
        return None
    if case.slack is None:
        return same_objective(case.costs, solution, reference)
    value, _ = objectives(case.costs, solution)
    wanted, _ = objectives(case.costs, reference)
    return bool(value.sum() <= wanted.sum() + case.slack * wanted.sum().abs())


@dataclass(frozen=True)
class Warm:
    """An implementation that works: its call, the solution, the seconds of the first call."""

    impl: Implementation
    call: Call
    solution: Tensor
    first_seconds: float


def warm_up(case: Case, findings: Findings, clock: Clock) -> dict[str, Warm]:
    """The implementations that work, by label, after a first call each."""
    warm: dict[str, Warm] = {}
    for impl in case.implementations:
        skippable = Exception if impl.foreign else SolverUnavailableError
        started = clock()
        try:
            with using_threads(impl.threads):
                call = impl.prepare(case.costs)
                result = call()
        except skippable as error:
            problem = f"{type(error).__name__}: {error}".splitlines()[0]
            findings.notes.append(f"{case.what}, {case.size}: no {impl.label} ({problem})")
            continue
        warm[impl.label] = Warm(impl, call, impl.decode(result), clock() - started)
    return warm


def measure(
    case: Case, effort: Effort, findings: Findings, clock: Clock = time.perf_counter
) -> None:
    """Time a case and append its rows; what is unavailable is left out with a note."""
    warm = warm_up(case, findings, clock)

    def around(label: str) -> contextlib.AbstractContextManager[None]:
        return using_threads(warm[label].impl.threads)

    calls = {label: ready.call for label, ready in warm.items()}
    samples = interleave(calls, effort, clock, around)
    reference = case.implementations[0].label
    known = reference in warm
    for label, ready in warm.items():
        median = samples[label].ms_median
        findings.rows.append(
            Row(
                what=case.what,
                size=case.size,
                batch=len(case.costs),
                impl=ready.impl.name,
                threads=ready.impl.threads,
                ms_median=median,
                ms_min=samples[label].ms_min,
                ratio_to_reference=median / samples[reference].ms_median if known else None,
                exact=is_as_good(case, ready.solution, warm[reference].solution) if known else None,
            )
        )
        solver = f"{case.what.replace(',', '').split()[0]}: {label}"
        extra = round(max(0.0, ready.first_seconds - median / 1e3), 3)
        findings.cold_seconds[solver] = max(extra, findings.cold_seconds.get(solver, 0.0))
