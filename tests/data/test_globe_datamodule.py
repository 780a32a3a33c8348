"""Globe TSP instances: right labels, repeatable, cached, honest about their source."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from combgrad.data.globe.countries import regenerated
from combgrad.data.globe.datamodule import GlobeTSP
from combgrad.data.globe.instances import choose_cities
from combgrad.data.globe.sphere import unit_vectors
from combgrad.runs.configuration import compose
from combgrad.solvers import TSP, BruteForceTSP

REAL = Path(os.environ.get("COMBGRAD_DATA", "/nonexistent")) / "flags" / "flags_capitals.npz"


def small(**changes):
    sizes = {"cities": 5, "train_size": 60, "eval_size": 20, "batch_size": 16}
    data = GlobeTSP(**(sizes | changes))
    data.setup()
    return data


def test_labels_are_the_best_tours_of_the_true_distances():
    data = small()
    test = data.instances["test"]
    points = unit_vectors(torch.tensor(data.countries.lonlat))
    for row in range(5):
        chosen = points[test.cities[row]]
        distances = torch.pdist(chosen)
        torch.testing.assert_close(test.true_costs[row].double(), distances, rtol=1e-6, atol=1e-6)
        assert torch.equal(BruteForceTSP()(distances.unsqueeze(0))[0].float(), test.target[row])


def test_great_circle_labels_differ_from_chord_labels_now_and_then():
    chord, arc = small(eval_size=300), small(eval_size=300, distance="great_circle")
    assert torch.equal(chord.instances["test"].cities, arc.instances["test"].cities)
    same = (chord.instances["test"].target == arc.instances["test"].target).all(1).double().mean()
    assert 0.7 < float(same) < 0.95  # 81 % on other capitals
    assert chord.data_fingerprint != arc.data_fingerprint


def test_instances_are_distinct_cities_and_fewer_are_a_prefix_of_more():
    many = choose_cities(500, 20, 100, seed=0, split="train")
    assert all(len(set(row)) == 20 for row in many.tolist())
    assert torch.equal(choose_cities(100, 20, 100, seed=0, split="train"), many[:100])
    assert not torch.equal(choose_cities(500, 20, 100, seed=1, split="train"), many)
    assert not torch.equal(choose_cities(500, 20, 100, seed=0, split="test"), many)
    counts = np.bincount(many.flatten().numpy(), minlength=100)
    assert counts.min() > 60  # 100 expected, deviation 9
    assert counts.max() < 140


def test_the_cache_gives_the_same_instances(tmp_path, monkeypatch):
    in_memory, fresh = small(), small(cache=str(tmp_path))
    assert len(list(tmp_path.glob("globe-5-*"))) == 3
    with monkeypatch.context() as patch:
        patch.setattr(TSP, "_solve", None)
        again = small(cache=str(tmp_path))
    for split in ("train", "val", "test"):
        for name, column in in_memory.instances[split].columns().items():
            for other in (fresh, again):
                assert torch.equal(column, other.instances[split].columns()[name])


def test_all_that_decides_the_instances_decides_where_they_are_kept(tmp_path, monkeypatch):
    def kept(**changes):
        small(cache=str(tmp_path), **changes)
        return len(list(tmp_path.glob("globe-*")))

    count = kept()
    for name, value in (("batch_size", 3), ("order_seed", 2), ("label_rho", 0.5)):
        assert kept(**{name: value}) == count == 3
    for name, value in (("cities", 6), ("seed", 1), ("distance", "great_circle")):
        count += 3
        assert kept(**{name: value}) == count
    assert kept(train_size=61) == count + 1
    monkeypatch.setattr("combgrad.data.globe.instances.GENERATOR_VERSION", 0)
    assert kept() == count + 4
    lonlat = regenerated().lonlat
    other = dataclasses.replace(regenerated(), lonlat=lonlat[::-1].copy())
    monkeypatch.setattr("combgrad.data.globe.countries.regenerated", lambda: other)
    assert kept() == count + 7


def test_labels_are_exact_whatever_solver_a_run_trains_with(tmp_path):
    words = ["experiment=tsp5", "profile=smoke", "proj=none", "solver=from_function", "solver.f=x"]
    settings = {name: value for name, value in compose(words).data.items() if name[0] != "_"}
    data = GlobeTSP(**settings | {"cache": str(tmp_path)})
    data.setup()
    for instances in data.instances.values():
        best = BruteForceTSP()(instances.true_costs.double())
        assert torch.equal(instances.target, best.float())


def test_batches_follow_seed_and_epoch():
    data = small(order_seed=3)
    loader = data.train_dataloader()

    def epoch(number):
        loader.sampler.set_epoch(number)
        return torch.cat([batch["cities"] for batch in loader])

    first, second = epoch(0), epoch(1)
    assert torch.equal(first, epoch(0))
    assert not torch.equal(first, second)
    assert sorted(first.tolist()) == sorted(data.instances["train"].cities.tolist())
    assert [len(batch["target"]) for batch in loader] == [16, 16, 16, 12]
    assert torch.equal(
        torch.cat([b["target"] for b in data.test_dataloader()]), data.instances["test"].target
    )


def test_flipped_labels_only_touch_the_training_split():
    clean, noisy = small(), small(label_rho=0.5)
    for split in ("val", "test"):
        assert torch.equal(clean.instances[split].target, noisy.instances[split].target)
    flipped = clean.instances["train"].target != noisy.instances["train"].target
    assert 0.05 < float(flipped.double().mean()) < 0.15  # rho / k = 0.1
    assert clean.data_fingerprint == noisy.data_fingerprint  # the rate is in the configuration


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "other"}, "regenerated, pictures, original"),
        ({"source": "pictures"}, "data.path"),
        ({"distance": "planar"}, "great_circle"),
        ({"train_size": 0}, "train_size"),
        ({"label_rho": -0.1}, "label_rho"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.exists(), reason="COMBGRAD_DATA has no flag pictures")
def test_pictures_are_another_source_of_the_same_task():
    data = small(source="pictures", path=str(REAL.parent.parent))
    assert data.flags.shape == (100, 20, 40, 3)
    assert data.data_fingerprint != small().data_fingerprint
    assert bool((data.instances["train"].target.sum(1) == 5).all())
