"""The real sets of key points that a folder for data may have."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from combgrad.data.base import Place
from combgrad.data.files.pictures import SIDE
from combgrad.data.matching.cmu_house import CMUHouse
from combgrad.data.matching.datamodule import KeyPointPairs
from combgrad.data.matching.pf_pascal import PFPascal
from combgrad.data.matching.willow import Willow

REAL = os.environ.get("COMBGRAD_DATA", "nowhere")

pytestmark = pytest.mark.real_data


def needs(name):
    return pytest.mark.skipif(not (Path(REAL) / name).exists(), reason=f"no {name}")


@needs("willow")
def test_willow_has_its_pictures_with_ten_points_each(tmp_path):
    found = Willow().read(Place(Path(REAL), cache=tmp_path))
    counts = np.bincount(found.marked.category).tolist()
    assert dict(zip(found.categories, counts, strict=True)) == {
        "Car": 40,
        "Duck": 50,
        "Face": 108,
        "Motorbike": 40,
        "Winebottle": 66,
    }
    assert np.diff(found.marked.ends, prepend=0).tolist() == [10] * 304
    train, test = found.splits["train"].members, found.splits["test"].members
    assert [len(train[c]) for c in range(5)] == [20] * 5
    assert [len(test[c]) for c in range(5)] == [20, 30, 88, 20, 46]


def accuracy(batch, pair):
    """The share of points that a linear assignment of the features gets right."""
    one, other = (batch["features"][pair, side].numpy() for side in range(2))
    rows, columns = linear_sum_assignment(-one @ other.T)
    return batch["target"][pair].numpy()[rows, columns].mean()


@needs("cmu_house")
def test_frames_of_the_house_are_the_easier_to_match_the_nearer_they_are():
    """Shape contexts alone match near frames nearly always, as published results have it."""
    data = KeyPointPairs(CMUHouse(), eval_size=20, path=REAL, geometry_only=True)
    data.setup()
    found = {name: [] for name in data.categories}
    for batch in data.test_dataloader():
        for pair, category in enumerate(batch["category"].tolist()):
            found[data.categories[category]].append(accuracy(batch, pair))
    means = {name: float(np.mean(shares)) for name, shares in found.items()}
    assert means["10 frames"] > 0.98
    assert means["100 frames"] < means["60 frames"] < means["30 frames"]


@needs("cmu_house")
def test_frames_of_the_house_have_thirty_points_inside_of_their_picture():
    found = CMUHouse().read(Place(Path(REAL))).marked
    assert np.diff(found.ends, prepend=0).tolist() == [30] * 111
    assert found.files[0].size() == (576, 384)
    assert 0 < found.points.min() < found.points.max() < SIDE


@needs("pf_pascal")
def test_pf_pascal_has_its_299_pairs():
    found = PFPascal().read(Place(Path(REAL)))
    sizes = {split: len(pool) for split, pool in found.splits.items()}
    assert sum(sizes.values()) == 299
    assert min(sizes.values()) > 50
    counts = np.diff(found.marked.ends, prepend=0)
    assert (counts.min(), counts.max()) == (4, 17)
