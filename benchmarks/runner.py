"""The whole benchmark: choose the cases, measure them one after the other, save and show."""

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numba
from tqdm import tqdm

from benchmarks.bag_cases import bag_plans
from benchmarks.cases import Findings, Plan, Probe, measure
from benchmarks.decision_cases import decision_plans
from benchmarks.first_minute import first_minute_plans
from benchmarks.graph_matching_cases import graph_matching_plans
from benchmarks.grid_cases import grid_plans
from benchmarks.matching_cases import alignment_plans, assignment_plans
from benchmarks.order_cases import ranking_plans, topk_plans
from benchmarks.peers import missing_peers, peer_plans
from benchmarks.program_cases import knapsack_plans, program_plans, tree_plans
from benchmarks.report import Report, save, tables
from benchmarks.retrieval_cases import retrieval_plans
from benchmarks.sampler_cases import sampler_plans
from benchmarks.step_cases import step_plans
from benchmarks.timing import FULL, QUICK
from benchmarks.tsp_cases import tsp_plans
from combgrad.runs import provenance

#: What `--only` knows; each makes its cases for up to so many threads.
PROBLEMS: Mapping[str, Callable[[int], Sequence[Plan | Probe]]] = {
    "tsp": tsp_plans,
    "shortest_path": grid_plans,
    "topk": topk_plans,
    "ranking": ranking_plans,
    "retrieval": retrieval_plans,
    "assignment": assignment_plans,
    "alignment": alignment_plans,
    "graph_matching": graph_matching_plans,
    "spanning_tree": tree_plans,
    "knapsack": knapsack_plans,
    "ilp": program_plans,
    "sampler": sampler_plans,
    "step": step_plans,
    "bags": bag_plans,
    "decisions": decision_plans,
    "peers": peer_plans,
    "first_minute": first_minute_plans,
}

#: Packages behind the references and peers, besides those of every record.
PACKAGES = (
    "scipy",
    "highspy",
    "pyepo",
    "ortools",
    "torch-imle",
    "blackbox-backprop",
    "cvxpylayers",
)
MOST_THREADS = 2


class UnknownProblemError(ValueError):
    """A name that is not one of PROBLEMS."""


def choose(only: Sequence[str] | None) -> list[str]:
    """The problems to measure; raises UnknownProblemError, listing the valid names."""
    names = list(only) if only else list(PROBLEMS)
    unknown = [name for name in names if name not in PROBLEMS]
    if unknown:
        raise UnknownProblemError(
            f"unknown problem {', '.join(unknown)}; choose from {', '.join(PROBLEMS)}."
        )
    return names


def header(findings: Findings, options: str, seconds: float) -> dict[str, Any]:
    """Where, when and how the rows were measured."""
    machine = provenance.hardware("none")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": provenance.commit(),
        "machine": {
            "processor": machine["processor"],
            "cores": machine["cores"],
            "system": platform.platform(terse=True),
        },
        "versions": provenance.versions((*provenance.PACKAGES, *PACKAGES)),
        "threads": (
            f"as the rows say, for the solvers and torch alike; Gurobi 1; "
            f"numba {numba.config.NUMBA_NUM_THREADS} at most"  # type: ignore[attr-defined]
        ),
        "load": f"{os.getloadavg()[0]:.1f} at the end, over a minute",
        "options": options,
        "seconds": round(seconds),
        "cold_seconds": findings.cold_seconds,
        "notes": findings.notes,
    }


def collect(problems: Sequence[str], quick: bool) -> Findings:
    """Measure the cases of these problems, with a progress bar."""
    findings = Findings()
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    plans: list[Plan | Probe] = []
    for name in problems:
        all_plans = PROBLEMS[name](threads)
        chosen = [plan for plan in all_plans if plan.quick or not quick]
        if all_plans and not chosen:
            findings.notes.append(f"{name}: no case of it is small enough for --quick")
        plans += chosen
    if {"peers", "decisions"} & {*problems}:
        findings.notes += missing_peers()
    with tqdm(plans, unit="case", disable=None) as progress:
        for plan in progress:
            progress.set_description(plan.title)
            if isinstance(plan, Probe):
                findings.rows += plan.take()
            else:
                measure(plan.build(), QUICK if quick else FULL, findings)
    findings.notes += [
        f"{row.what}, {row.size}: {row.impl} does not agree with the reference"
        for row in findings.rows
        if row.exact is False
    ]
    return findings


def run(
    only: Sequence[str] | None = None,
    json_file: Path | None = None,
    quick: bool = False,
    folder: Path = Path("results/bench"),
) -> Report:
    """Measure, save into `folder`, print the tables.

    Raises UnknownProblemError, listing the valid names.
    """
    problems = choose(only)
    started = time.perf_counter()
    findings = collect(problems, quick)
    options = f"{'quick' if quick else 'full'}, {', '.join(problems)}"
    report = Report(header(findings, options, time.perf_counter() - started), findings.rows)
    written = save(report, Path(folder), json_file)
    print(f"\n{tables(report)}\n")
    for note in findings.notes:
        print(f"note: {note}")
    print(f"wrote {', '.join(str(path) for path in written)}")
    return report
