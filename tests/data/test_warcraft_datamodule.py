"""The data module of Warcraft: batches, statistics, the cache, and what it refuses."""

import inspect

import numpy as np
import pytest
import torch
import yaml

from combgrad.data.warcraft.channels import channel_statistics
from combgrad.data.warcraft.datamodule import Warcraft
from combgrad.runs.configuration import CONFIG_FOLDER

K = 4


def small(**changes):
    sizes = {"cells": K, "train_size": 120, "eval_size": 20, "batch_size": 32}
    data = Warcraft(**(sizes | changes))
    data.setup()
    return data


def everything(data, split="train"):
    return {name: column[torch.arange(len(column))] for name, column in data.columns(split).items()}


def test_a_batch_has_maps_targets_and_true_costs():
    data = small()
    batch = next(iter(data.train_dataloader()))
    assert {name: (part.dtype, tuple(part.shape)) for name, part in batch.items()} == {
        "maps": (torch.uint8, (32, 8 * K, 8 * K, 3)),
        "target": (torch.float32, (32, K, K)),
        "true_costs": (torch.float32, (32, K, K)),
    }
    assert set(batch["target"].unique().tolist()) == {0.0, 1.0}
    assert batch["target"][:, [0, -1], [0, -1]].min() == 1
    assert batch["true_costs"].min() == torch.tensor(0.8)
    assert batch["true_costs"].max() == torch.tensor(9.2)


def test_batches_follow_seed_and_epoch_and_keep_the_rows_together():
    data = small(order_seed=3)
    loader = data.train_dataloader()

    def epoch(number):
        loader.sampler.set_epoch(number)
        parts = list(loader)
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    first, second, again = epoch(0), epoch(1), epoch(0)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["maps"], second["maps"])
    stored = everything(data)
    order = [
        next(i for i in range(120) if torch.equal(picture, stored["maps"][i]))
        for picture in first["maps"]
    ]
    assert sorted(order) == list(range(120))
    for name in ("target", "true_costs"):
        assert torch.equal(first[name], stored[name][order])


def test_evaluation_is_in_order_in_batches_that_fit():
    data = small(eval_size=70)
    for split, loader in (("val", data.val_dataloader()), ("test", data.test_dataloader())):
        parts = list(loader)
        assert [len(part["maps"]) for part in parts] == [32, 32, 6]
        found = torch.cat([part["maps"] for part in parts])
        assert torch.equal(found, everything(data, split)["maps"])


def test_statistics_are_those_of_the_training_maps_in_use():
    data = small()
    pixels = everything(data)["maps"].double()
    for found in (data.channel_mean, data.channel_std):
        assert (found.dtype, tuple(found.shape)) == (torch.float32, (3,))
    standardised = (pixels - data.channel_mean) / data.channel_std
    torch.testing.assert_close(
        standardised.mean((0, 1, 2)), torch.zeros(3).double(), atol=1e-5, rtol=0
    )
    deviation = standardised.std((0, 1, 2), correction=0)
    torch.testing.assert_close(deviation, torch.ones(3).double(), atol=1e-5, rtol=0)
    assert not torch.equal(small(train_size=60).channel_mean, data.channel_mean)


def test_statistics_are_exact():
    maps = torch.zeros(2, 2, 2, 3, dtype=torch.uint8)
    maps[0, 0, 0] = torch.tensor([255, 8, 0], dtype=torch.uint8)
    maps[..., 2] = 7
    mean, deviation = channel_statistics(maps)
    # One of eight pixels has the value v: mean v/8, variance v^2 * 7/64.
    np.testing.assert_allclose(mean, [255 / 8, 1, 7], rtol=1e-14)
    np.testing.assert_allclose(deviation, [255 * 7**0.5 / 8, 7**0.5, 0], rtol=1e-14)


def test_the_cache_gives_the_same_maps_from_the_disk(tmp_path, monkeypatch):
    in_memory, fresh = small(), small(cache=str(tmp_path))

    def refuse(*arguments):
        raise AssertionError("made again")

    with monkeypatch.context() as patch:
        patch.setattr("combgrad.data.warcraft.generated.make_block", refuse)
        patch.setattr("combgrad.data.warcraft.channels.channel_statistics", refuse)
        again = small(cache=str(tmp_path))
    for split in ("train", "val", "test"):
        for name, column in everything(in_memory, split).items():
            for other in (fresh, again):
                assert torch.equal(everything(other, split)[name], column)
        (part,) = again.columns(split)["maps"].parts
        assert isinstance(part, np.memmap)
    for other in (fresh, again):
        assert torch.equal(other.channel_mean, in_memory.channel_mean)
        assert torch.equal(other.channel_std, in_memory.channel_std)


def test_other_recipes_have_other_files(tmp_path):
    for changes in ({}, {"seed": 1}, {"cells": 5}, {"train_size": 110}):
        small(cache=str(tmp_path), **changes)
    assert len(list(tmp_path.glob("warcraft-*-train-*"))) == 4
    assert len(list(tmp_path.glob("warcraft-*-val-*"))) == 3
    assert len(list(tmp_path.glob("warcraft-*-channels-*"))) == 4


def test_the_fingerprint_follows_the_maps_and_nothing_else():
    marks = {
        Warcraft(**({"cells": 12} | changes)).data_fingerprint
        for changes in ({}, {"seed": 1}, {"cells": 18})
    }
    assert len(marks) == 3
    for changes in ({"train_size": 5}, {"batch_size": 3}, {"order_seed": 2}, {"cache": "x"}):
        assert Warcraft(12, **changes).data_fingerprint in marks


def test_the_fingerprint_tells_another_generator(monkeypatch):
    before = Warcraft(12).data_fingerprint
    monkeypatch.setattr("combgrad.data.warcraft.sources.GENERATOR_VERSION", 0)
    assert Warcraft(12).data_fingerprint != before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "stand-in"}, "regenerated, original"),
        ({"source": "original"}, "data.path"),
        ({"cells": 1}, "data.cells is 1"),
        ({"train_size": 0}, "data.train_size is 0"),
        ({"batch_size": 0}, "data.batch_size is 0"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_the_configuration_has_every_setting_with_its_default():
    written = yaml.safe_load((CONFIG_FOLDER / "data" / "warcraft.yaml").read_text())
    assert written.pop("_target_") == f"{Warcraft.__module__}.{Warcraft.__name__}"
    parameters = inspect.signature(Warcraft).parameters
    assert written.keys() == parameters.keys()
    for name, value in written.items():
        if name != "cells" and not str(value).startswith("${"):
            assert value == parameters[name].default, name
