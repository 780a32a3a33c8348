"""Which jobs a command line means."""

import hydra
import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from combgrad.plans.grids import KINDS, PlanError
from combgrad.runs.checks.modes import OF_SWEEPS
from combgrad.runs.configuration import CONFIG_FOLDER
from combgrad.sweeps.expansion import SweepWordError, arranged, requests

TABLE_6_CELLS = [
    (size, alpha) for size in ("tsp5", "tsp10", "tsp20") for alpha in (None, "0.1", "0.2", "0.5")
]


def words_of(found):
    return [dict(word.split("=", 1) for word in request.overrides) for request in found]


@pytest.mark.parametrize(
    "words",
    [
        ["experiment=tsp5,tsp10", "grad=identity", "seed=0,1,2"],
        ["seed=range(0,4)", "margin=noise", "margin.alpha=0.1,0.25"],
        ["grad=choice(blackbox)", "grad.lam=1,20", "optimizer.betas=[0.5,0.9],[0.9,0.999]"],
        ["experiment=tsp5", "++data.train_size=10,20"],
        ["experiment=tsp5"],
    ],
)
def test_ordinary_sweeps_are_those_of_hydra(words):
    parsed = OverridesParser.create().parse_overrides(words)
    (expected,) = BasicSweeper.split_arguments(parsed, None)
    found = [list(request.overrides) for request in requests(words)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def test_seeds_are_counted_from_zero():
    found = words_of(requests(["experiment=tsp5", "seeds=3"]))
    assert [words["seed"] for words in found] == ["0", "1", "2"]


def test_a_table_is_the_union_of_its_grids_with_the_first_seed_of_every_cell_first():
    found = words_of(requests(["table=6"]))
    cells = [(words["experiment"], words.get("margin.alpha")) for words in found]
    assert sorted(cells, key=str) == sorted(TABLE_6_CELLS * 3, key=str)
    assert [words["seed"] for words in found] == ["0"] * 12 + ["1"] * 12 + ["2"] * 12
    assert {words["profile"] for words in found} == {"paper"}
    assert {request.group for request in requests(["table=6"])} == {"table6"}


@pytest.mark.parametrize(
    ("more", "cells"),
    [
        (["experiment=tsp5"], [c for c in TABLE_6_CELLS if c[0] == "tsp5"]),
        (["margin.alpha=0.10,0.5"], [c for c in TABLE_6_CELLS if c[1] in ("0.1", "0.5")]),
        (["margin=none"], [c for c in TABLE_6_CELLS if c[1] is None]),
        (["margin.alpha=0.3"], [(size, "0.3") for size in ("tsp5", "tsp10", "tsp20")]),
    ],
)
def test_other_words_narrow_a_table_or_set_what_it_does_not_have(more, cells):
    found = words_of(requests(["table=6", "seed=7", *more]))
    assert [words["seed"] for words in found] == ["7"] * len(cells)
    got = [(words["experiment"], words.get("margin.alpha")) for words in found]
    assert sorted(got, key=str) == sorted(cells, key=str)


def test_of_several_tables_each_gives_the_experiments_it_has():
    found = words_of(requests(["table=6,7", "experiment=tsp5,warcraft12", "seed=0"]))
    assert {words["experiment"] for words in found} == {"tsp5", "warcraft12"}
    alone = words_of(requests(["table=6,7", "experiment=tsp5", "seed=0"]))
    assert alone == words_of(requests(["table=6", "experiment=tsp5", "seed=0"]))


def test_words_a_table_says_nothing_about_go_to_every_job():
    found = words_of(requests(["table=6", "profile=reduced", "seeds=1", "optimizer.lr=0.1,0.2"]))
    assert len(found) == 24
    assert {words["profile"] for words in found} == {"reduced"}
    assert {words["optimizer.lr"] for words in found} == {"0.1", "0.2"}


def test_all_parts_of_a_figure_are_one_sweep_without_double_jobs():
    parts = [requests([f"figure=4{letter}"]) for letter in "abc"]
    together = {frozenset(request.overrides) for request in requests(["figure=4"])}
    assert together == {frozenset(r.overrides) for part in parts for r in part}
    assert len(requests(["figure=4"])) == len(together) < sum(map(len, parts))


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["table=x"], PlanError, "there is no table 'x'; there are 1, .* 7, 7_12x12, 7_sizes, 8"),
        (["table=6", "seeds=0"], SweepWordError, "at least 1"),
        (["table=6", "seeds=2,3"], SweepWordError, "one number"),
        (["table=6", "seeds=2", "seed=1"], SweepWordError, "not both"),
        (["table=6", "margin=none", "margin.alpha=0.1"], SweepWordError, "no cell of table6"),
        (["seed=interval(0,1)"], SweepWordError, "name the values"),
        (
            ["table=6", "experiment=dvae"],
            SweepWordError,
            r"^table6 has no experiment=dvae; it holds tsp5, tsp10, tsp20\.$",
        ),
        (["table=6", "experiment=tsp5,dvae"], SweepWordError, "table6 has no experiment=dvae;"),
        (
            ["table=6", "margin.alpha=0.20,0.3"],
            SweepWordError,
            r"table6 has no margin.alpha=0.3; it holds 0.1, 0.2, 0.5",
        ),
        (["table=6,7", "experiment=dvae"], SweepWordError, "table6, table7 has no"),
        (["dry=no"], SweepWordError, r"^dry=no: it must be true or false\.$"),
        (["rerun=off"], SweepWordError, r"^rerun=off: it must be true or false\.$"),
        (["rerun=true,false"], SweepWordError, "must be true or false"),
        (["resume=false"], SweepWordError, "resume=false would be ignored: .* rerun=true"),
        (["group=mine"], SweepWordError, "group=mine would be ignored"),
    ],
)
def test_words_that_make_no_sense_are_refused(words, error, message):
    with pytest.raises(error, match=message):
        requests(words)


def test_hydra_sees_the_words_of_a_sweep_as_choices_and_its_own_as_they_are():
    words = ["-m", "table=6", "margin.alpha=0.1", "seed=0,1", "paths.root=/x", "hydra.verbose=true"]
    assert arranged(words) == [
        "-m", "table=choice(6)", "margin.alpha=choice(0.1)", "seed=0,1", "paths.root=/x",
        "hydra.verbose=true",
    ]  # fmt: skip


def test_a_sweep_takes_the_switches_that_hydra_knows():
    for word in ("dry=true", "dry=FALSE", "rerun=False", "resume=true"):
        assert len(requests(["experiment=tsp5", word])) == 1


def test_a_seed_is_that_of_all_jobs_however_it_is_set():
    for seed in ("seed=7,8", "++seed=7,8"):
        found = words_of(requests(["table=6", "experiment=tsp5", "margin=none", seed]))
        assert [words["seed"] for words in found] == ["7", "8"]
        assert not any("++seed" in words for words in found)
    assert len(requests(["experiment=tsp5", "++seeds=3"])) == 3


def test_options_can_be_named_by_a_pattern():
    with hydra.initialize_config_dir(str(CONFIG_FOLDER), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        found = words_of(requests(["experiment=glob(tsp*)", "seed=0"], loader))
        assert [words["experiment"] for words in found] == ["tsp10", "tsp20", "tsp5"]
        narrowed = requests(["table=6", "experiment=glob(tsp?)", "seed=0"], loader)
    assert {words["experiment"] for words in words_of(narrowed)} == {"tsp5"}


def test_every_kind_of_plan_is_a_word_of_sweeps():
    assert set(KINDS) < OF_SWEEPS


def test_a_value_of_null_is_one_that_a_sweep_can_have():
    words = arranged(["experiment=tsp5", "-m", "schedule=null", "seeds=2"])
    words.remove("-m")
    OverridesParser.create().parse_overrides(words)  # as Hydra does before any job
    assert words_of(requests(words)) == [
        {"experiment": "tsp5", "schedule": "null", "seed": seed} for seed in ("0", "1")
    ]


def test_a_single_run_is_left_alone_and_told_where_sweeps_begin():
    assert arranged(["experiment=tsp5", "seed=1"]) == ["experiment=tsp5", "seed=1"]
    with pytest.raises(SweepWordError, match=r"train\.py -m dry=true"):
        arranged(["experiment=tsp5", "dry=true"])
