"""Many configurations from few compositions: the same ones as Hydra makes."""

import pytest
from omegaconf.errors import ConfigAttributeError

from combgrad.runs.compositions import compose_many
from combgrad.runs.configuration import compose_lazily
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
    assert without_words(found) == without_words(compose_lazily([*OPTIONS, *words]))


def test_one_does_not_change_the_next():
    assert compose_many([*OPTIONS, "grad.lam=5"]).grad.lam == 5
    assert compose_many(OPTIONS).grad.lam == 20


def test_an_unknown_key_is_refused():
    with pytest.raises(ConfigAttributeError, match="lamb"):
        compose_many([*OPTIONS, "grad.lamb=5"])
    with pytest.raises(ConfigAttributeError, match="sed"):
        compose_many([*OPTIONS, "sed=5"])
