"""Many configurations from few compositions: the same ones as Hydra makes."""

import pytest
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import OmegaConf

from combgrad.runs.compositions import compose_many, sharing
from combgrad.runs.configuration import compose_lazily, run_name
from parts import without_words

OPTIONS = ["experiment=tsp5", "grad=blackbox", "margin=noise"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["seed=3", "threads=2", "checkpoint=null"],
        ["grad.lam=5", "margin.alpha=0.25", "profile=paper"],
        ["callbacks.snapshots.at=[0.5]", "optimizer.lr=1e-3", "data.source=original"],
        ["+optimizer.eps=1e-7", "~margin.until", "margin.alpha=0.5"],
        ["budget.paper={epochs: 3}", "grad.lam=2", "grad.lam=3"],
    ],
)
def test_it_is_what_hydra_composes(words):
    found = compose_many([*OPTIONS, *words])
    name = run_name(found)
    whole = compose_lazily([*OPTIONS, *words])
    assert without_words(found) == without_words(whole)
    assert found.overrides == whole.overrides == [*OPTIONS, *words]
    assert name == run_name(whole)


def test_one_does_not_change_the_next():
    assert compose_many([*OPTIONS, "grad.lam=5"]).grad.lam == 5
    assert compose_many(OPTIONS).grad.lam == 20


def shared_and_composed(**values):
    """A shared `compose_lazily` that sets these values too, and the words that Hydra got."""
    composed = []

    def compose(words):
        composed.append(list(words))
        config = compose_lazily(words)
        for key, value in values.items():
            OmegaConf.update(config, key, value)
        return config

    return sharing(compose), composed


def test_each_choice_of_options_is_composed_once():
    shared, composed = shared_and_composed()
    found = [shared([*OPTIONS, f"margin.alpha=0.{i}", f"seed={i}"]) for i in (1, 2)]
    assert [(config.seed, config.margin.alpha) for config in found] == [(1, 0.1), (2, 0.2)]
    assert composed == [OPTIONS]
    assert shared([*OPTIONS[:2], "seed=1"]).seed == 1
    assert composed == [OPTIONS, OPTIONS[:2]]


def test_what_is_made_of_all_words_is_left_to_hydra():
    shared, composed = shared_and_composed(**{"paths.outputs": "${hydra:job.override_dirname}"})
    all_words = [[*OPTIONS, f"seed={seed}"] for seed in range(2)]
    for words in all_words:
        assert shared(words).hydra.job.override_dirname == ",".join(sorted(words))
    assert composed == [OPTIONS, *all_words]


def test_groups_of_ones_own_choose_options(tmp_path):
    files = {
        "experiment/own.yaml": "# @package _global_\ndefaults: [/task: globe_tsp, /mine: a]\n",
        "mine/a.yaml": "x: 1\n",
        "mine/b.yaml": "x: 2\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    words = [f"hydra.searchpath=[file://{tmp_path}]", "experiment=own"]
    assert compose_many([*words, "mine.x=3", "seed=1"]).mine == {"x": 3}
    found = compose_many([*words, "mine=b", "seed=1"])
    assert (found.mine, found.choices.mine, found.seed) == ({"x": 2}, "b", 1)


def test_what_is_wrong_is_told_by_hydra():
    with pytest.raises(ConfigCompositionException, match=r"Could not override 'grad\.lamb'"):
        compose_many([*OPTIONS, "grad.lamb=5"])
    with pytest.raises(ConfigCompositionException, match="Could not override 'sed'"):
        compose_many([*OPTIONS, "sed=5"])
    with pytest.raises(HydraException, match="1,2"):
        compose_many([*OPTIONS, "grad.lam=1,2"])
