"""The blocks of the pages run as they stand there, in their order, and do what the page says."""

import re
import subprocess
import sys

import pytest
import torch

from combgrad.results import load_records
from combgrad.runs.command_line import in_order
from combgrad.runs.configuration import compose_lazily
from combgrad.sweeps.expansion import arranged
from doc_pages import PAGES, ROOT, blocks

#: Those whose blocks need nothing but the library. The rest have tests of their own.
RUNNABLE = (
    "index.md",
    "tutorials/torch-loop.md",
    "tutorials/own-solver.md",
    "tutorials/sampler.md",
    "tutorials/predict-then-optimise.md",
    "coming-from-blackbox-backprop.md",
    "coming-from-torch-imle.md",
    "coming-from-inferopt.md",
)
COMMAND = re.compile(r"^(python (?:train|scripts/\w+)\.py)\b([^#\n]*)", re.MULTILINE)


def run(page):
    names: dict = {}
    for number, block in enumerate(blocks(page)):
        exec(compile(block, f"{page}, block {number}", "exec"), names)
    return names


@pytest.mark.parametrize("page", RUNNABLE)
def test_the_blocks_run(page):
    assert run(page)


def test_the_loop_is_as_short_as_it_says_and_learns():
    first = blocks("tutorials/torch-loop.md")[0]
    statements = [line for line in first.splitlines() if line.strip()]
    assert len(statements) <= 20
    assert run("tutorials/torch-loop.md")["right"] > 0.9


def test_the_first_block_of_the_readme_learns_most_edges(capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)```$", text, re.MULTILINE | re.DOTALL)
    torch.manual_seed(0)
    exec(compile(code, "README.md", "exec"), {})
    right = float(re.search(r"tensor\((.*)\)", capsys.readouterr().out)[1])
    assert right > 0.8


def commands(page):
    return [
        (program, words.split())
        for block in blocks(page, "sh")
        for program, words in COMMAND.findall(block)
    ]


NEW = [page for page in PAGES if page.startswith("tutorials/")] + ["index.md"]


def test_the_commands_of_the_first_pages_compose():
    found = [(page, *command) for page in NEW for command in commands(page)]
    assert len(found) > 4
    for page, program, words in found:
        if program == "python train.py" and "-m" not in words:
            config = compose_lazily(arranged(in_order(words)))
            assert "task" in config, (page, words)


def call(folder, *words):
    """What a program says in a folder of its own."""
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def typed(folder, program, words):
    quiet = ["pictures=false", "logger=none"] if program == "python train.py" else []
    return call(folder, str(ROOT / program.removeprefix("python ")), *words, *quiet)


@pytest.mark.timeout(900)
def test_the_sweep_of_the_tutorial_makes_its_table(tmp_path):
    _, sweep, tables, _ = commands("tutorials/sweep.md")
    typed(tmp_path, *sweep)
    records = load_records(tmp_path / "results" / "own")
    assert sorted(record.config["margin"]["alpha"] for record in records) == [0.1, 0.2]
    assert {record.profile for record in records} == {"smoke"}
    table = typed(tmp_path, *tables)
    assert "TSP(5)" in table
    assert table.count("(1, 1 own)") == 2
    code = "".join(blocks("tutorials/sweep.md")) + "print(len(table), int(table['count'].sum()))"
    assert call(tmp_path, "-c", code).split() == ["2", "2"]


@pytest.mark.timeout(900)
def test_the_dry_sweeps_of_the_tutorial_run_nothing(tmp_path):
    first, *_, own = commands("tutorials/sweep.md")
    assert "tsp5-identity-std-noise0.1" in typed(tmp_path, *first)
    assert "tsp5-blackbox-norm" in typed(tmp_path, *own)
    assert load_records(tmp_path / "results" / "own") == []


def test_the_search_for_settings_leaves_records_and_goes_on(tmp_path):
    pytest.importorskip("optuna")
    (code,) = blocks("tuning.md")
    assert len([line for line in code.splitlines() if line.strip()]) <= 25
    call(tmp_path, "-c", code)
    records = load_records(tmp_path / "results" / "own")
    assert len({record.config["grad"]["lam"] for record in records}) == 2
    best = max(max(record.curves["val/edge_accuracy"]) for record in records)
    assert str(best) in call(tmp_path, "-c", code.replace("n_trials=2", "n_trials=0"))
