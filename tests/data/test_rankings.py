"""Rankings of sushi: both forms of the file, what is known of people, and the regret."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from combgrad.data.base import Place
from combgrad.data.decisions.datamodule import Decisions
from combgrad.data.files.npy import DataFileError
from combgrad.data.rankings.preflib import read_orders
from combgrad.data.rankings.sets import PAIRS, Sushi, SushiStandIn
from combgrad.metrics import regret
from combgrad.solvers import Ranking

REAL = Path(os.environ.get("COMBGRAD_DATA", "nowhere")) / "rankings" / "sushi.soc"

ALL = [*map(str, range(1, 1001))]
NAMED = "".join(f"{number},kind\n" for number in ALL)
MANY = f"1000\n{NAMED}1000000,1000000,1\n1000000,{','.join(ALL)}\n"

EARLIER = "3\n1,ebi (shrimp) \n2,toro, fatty\n3,tamago\n3,3,2\n2,3,1,2\n1,1,2,3\n"
TODAY = """# FILE NAME: 00014-00000001.soc
# NUMBER ALTERNATIVES: 3
# NUMBER VOTERS: 3
# NUMBER UNIQUE ORDERS: 2
# ALTERNATIVE NAME 1: ebi (shrimp)
# ALTERNATIVE NAME 2: toro, fatty
# ALTERNATIVE NAME 3: tamago
2: 3,1,2
1: 1,2,3
"""


@pytest.mark.parametrize("text", [EARLIER, TODAY])
def test_both_forms_give_the_ranks_of_every_person(text):
    orders = read_orders(text, "here")
    assert orders.names == ["ebi (shrimp)", "toro, fatty", "tamago"]
    # 3 before 1 before 2: the first alternative has rank 2.
    assert orders.ranks.tolist() == [[2, 3, 1], [2, 3, 1], [1, 2, 3]]


@pytest.mark.parametrize(
    ("text", "old", "new", "match"),
    [
        (EARLIER, "2,3,1,2", "2,3,1,1", "2,3,1,1 is no count and order of 3"),
        (EARLIER, "2,3,1,2", "2,3,1", "no count and order"),
        (EARLIER, "2,3,1,2", "0,3,1,2", "no count and order"),
        (EARLIER, "2,3,1,2", "5,3,1,2", "orders of 6 people, and 3 are said"),
        (EARLIER, "1,ebi", "2,ebi", "alternative 1 is called"),
        (EARLIER, EARLIER, "3\n1,a", "list index|invalid literal"),
        (EARLIER, EARLIER, "10000000\n", "10000000 alternatives"),
        (EARLIER, EARLIER, "", "index out of range"),
        # Six kilobytes that would be eight gigabytes of ranks.
        (EARLIER, EARLIER, MANY, "orders of 1000000 people"),
        (TODAY, "# NUMBER VOTERS: 3\n", "", "how many alternatives and voters"),
        (TODAY, "NAME 2", "NAME 4", "does not name 3 alternatives"),
        (TODAY, "2: 3,1,2", "2: 3,x,2", "invalid literal"),
    ],
)
def test_what_are_no_orders_is_named(text, old, new, match):
    assert old in text
    with pytest.raises(DataFileError, match=f"here: is no file of complete orders.*({match})"):
        read_orders(text.replace(old, new), "here")


def test_features_are_comparisons_and_regret_is_half_of_spearmans_distance():
    data = Decisions(SushiStandIn(comparisons=7), train_size=40, eval_size=25)
    data.setup()
    columns = data.columns("val")
    assert columns["features"].shape == (25, 45)
    ranks = columns["target"]
    assert torch.equal(ranks.sort(dim=1).values, torch.arange(1.0, 11).expand(25, 10))
    assert torch.equal(columns["true_costs"], 11 - ranks)
    assert (columns["features"] != 0).sum(dim=1).tolist() == [7] * 25
    for row, (i, j) in zip(columns["features"].T, PAIRS, strict=True):
        known = row != 0
        assert torch.equal(row[known] > 0, (ranks[:, i] < ranks[:, j])[known])
    drawn = torch.randn(25, 10, generator=torch.Generator().manual_seed(0))
    found = Ranking()(drawn)
    lost = regret(found, ranks, columns["true_costs"])
    torch.testing.assert_close(lost, ((found - ranks) ** 2).sum(dim=1) / 2)


def test_all_comparisons_are_the_ranks():
    place = Place(None)
    rows = SushiStandIn(comparisons=45).rows(place, "test", {"test": 30})
    wins = np.zeros((30, 10))
    for column, (i, j) in zip(rows["features"].T, PAIRS, strict=True):
        wins[:, i] += column
        wins[:, j] -= column
    np.testing.assert_array_equal(wins.argsort(axis=1), rows["true_costs"].argsort(axis=1))
    none = SushiStandIn(comparisons=0).rows(place, "test", {"test": 30})
    assert not none["features"].any()


def test_people_are_in_one_split_and_settings_change_the_fingerprint():
    place, sizes = Place(None), {"train": 3500, "val": 500, "test": 1000}
    chosen = SushiStandIn()
    rows = np.concatenate([chosen.rows(place, split, sizes)["true_costs"] for split in sizes])
    everyone = 11 - chosen.ranks(place)
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, everyone.tolist()))
    marks = {SushiStandIn(c, s).fingerprint(place) for c, s in ((10, 0), (11, 0), (10, 1))}
    assert len(marks) == 3


@pytest.mark.parametrize("settings", [{"comparisons": 46}, {"comparisons": -1}, {"seed": 0.5}])
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match=r"data\.collection\."):
        Sushi(**settings)


def test_a_file_that_is_missing_or_of_others_is_named(tmp_path):
    with pytest.raises(DataFileError, match=r"rankings/sushi\.soc.*data=pto_sushi_stand_in"):
        Sushi().fingerprint(Place(tmp_path, free=Sushi.free))
    (tmp_path / "sushi.soc").write_text(EARLIER)
    with pytest.raises(DataFileError, match="3 people of 3 kinds; the set has 5000 of 10"):
        Sushi().ranks(Place(tmp_path))
    (tmp_path / "sushi.soc").write_bytes(b"\xff\xfe")
    with pytest.raises(DataFileError, match="cannot be read"):
        Sushi().ranks(Place(tmp_path))


@pytest.mark.skipif(not REAL.is_file(), reason="COMBGRAD_DATA has no rankings")
def test_the_published_rankings_are_read():
    orders = read_orders(REAL.read_text(), "sushi.soc")
    assert orders.ranks.shape == (5000, 10)
    # Its numbers are the original's, with 10 for 0, while its names count from 1: 7 is fatty tuna,
    # which most people like best, and 9 the cucumber roll.
    order = orders.ranks.mean(axis=0).argsort() + 1
    assert (order[0], order[-1]) == (7, 9)
    assert (orders.ranks[:, 6] == 1).sum() == 1713
