"""Every setting of every data set is checked when the data module is made, before any work."""

import importlib
import inspect
from typing import get_args

import pytest
import yaml

from combgrad.data.bags.datamodule import BagImages
from combgrad.data.datamodule import TensorDataModule, checked_fingerprint
from combgrad.data.decisions.datamodule import Decisions
from combgrad.data.decisions.polynomial import ShortestPaths
from combgrad.data.digits.datamodule import Digits
from combgrad.data.files.web import DownloadError
from combgrad.data.globe.datamodule import GlobeTSP
from combgrad.data.headlines.datamodule import Headlines
from combgrad.data.headlines.generated import Generated
from combgrad.data.matching.datamodule import KeyPointPairs
from combgrad.data.matching.synthetic import Synthetic
from combgrad.data.retrieval.datamodule import RetrievalImages
from combgrad.data.retrieval.digits import OpticalDigits
from combgrad.data.reviews.datamodule import Reviews
from combgrad.data.warcraft.datamodule import Warcraft
from combgrad.runs.checks.arguments import arguments_of
from combgrad.runs.configuration import CONFIG_FOLDER

LEAST = {
    BagImages: {
        "collection": OpticalDigits(),
        "bag_size": 4,
        "classes": 10,
        "side": 28,
        "crop": 28,
    },
    Decisions: {"collection": ShortestPaths()},
    Digits: {},
    GlobeTSP: {"cities": 5},
    Headlines: {"collection": Generated()},
    KeyPointPairs: {"collection": Synthetic()},
    RetrievalImages: {"collection": OpticalDigits(), "side": 28, "crop": 28},
    Reviews: {"aspect": "aroma"},
    Warcraft: {"cells": 12},
}
#: Settings that are whole numbers, with the smallest and largest that can be, by name.
SIZES = dict.fromkeys(("train_size", "eval_size", "batch_size", "length"), (1, 10**7))
SEEDS = dict.fromkeys(("order_seed", "seed", "split_seed"), (0, 2**32 - 1))
OTHER_WHOLES = {
    "bag_size": (1, None),
    "batch_images": (1, None),
    "pad": (0, None),
    "validation": (0, None),
    "workers": (0, 1000),
    "annotated_size": (0, 10**7),
    "cities": (3, 100),
    "cells": (2, None),
    "classes": (2, None),
    "samples": (2, None),
    "side": (28, None),
    "crop": (1, None),
    **dict.fromkeys(("title_words", "article_words"), (1, 10**7)),
    **dict.fromkeys(("title_length", "article_length"), (1, 10_000)),
}
WHOLES = SIZES | SEEDS | OTHER_WHOLES
CHOICES = {"source", "split", "aspect", "distance"}
PATHS = {"path", "cache"}
FLAGS = {"common_points", "geometry_only", "mirror"}
#: Tried below one by one, or what other parts are made of.
OTHERS = {"url", "label_rho", "collection", "backbone"}

MODULES = pytest.mark.parametrize("module", LEAST)


def made(module, **changes):
    return module(**LEAST[module] | changes)


def settings_of(module):
    return set(arguments_of(module)[0])


@MODULES
def test_every_setting_is_of_a_kind_that_is_tried_here(module):
    assert settings_of(module) <= WHOLES.keys() | CHOICES | PATHS | FLAGS | OTHERS


@pytest.mark.parametrize("file", sorted((CONFIG_FOLDER / "data").glob("*.yaml")))
def test_every_setting_of_a_yaml_is_one_of_its_class(file):
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    known = {module.__name__: settings_of(module) for module in LEAST}
    class_name = written.get("_target_", "").rpartition(".")[2]
    allowed = known.get(class_name, set.union(*known.values()))
    assert set(written) - {"_target_", "defaults"} <= allowed


@MODULES
def test_whole_numbers_are_checked(module):
    for name in settings_of(module) & WHOLES.keys():
        least, most = WHOLES[name]
        wrong = [least - 1, -(10**20), 7.0, "7", "many", None, True, [7], float("nan")]
        for value in wrong + ([most + 1, 10**20] if most else []):
            with pytest.raises(ValueError, match=rf"data\.{name} is .*; it must be a whole number"):
                made(module, **{name: value})
        assert getattr(made(module, **{name: least}), name) == least
        if most:
            assert getattr(made(module, **{name: most}), name) == most


@MODULES
def test_choices_are_checked(module):
    for name in settings_of(module) & CHOICES:
        for value in ("other", "", None, 5, ["original"]):
            with pytest.raises(ValueError, match=rf"{name}"):
                made(module, **{name: value})


@pytest.mark.parametrize("module", [Digits, GlobeTSP, Reviews, Warcraft])
def test_the_sources_that_a_configuration_may_name_are_those_that_there_are(module):
    named = get_args(inspect.signature(module).parameters["source"].annotation)
    sources = importlib.import_module(module.__module__).SOURCES
    assert named == tuple(source.name for source in sources)
    assert made(module).source == named[0]
    assert made(module).origin.needs is None


@MODULES
def test_paths_are_checked(module):
    for name in settings_of(module) & PATHS:
        for value in (5, "", ["a"], True):
            with pytest.raises(ValueError, match=rf"data\.{name} is .*; give a path"):
                made(module, **{name: value})


@MODULES
def test_flags_are_checked(module):
    for name in settings_of(module) & FLAGS:
        for value in (1, "true", None):
            with pytest.raises(ValueError, match=rf"data\.{name} is .*; give true or false"):
                made(module, **{name: value})


@MODULES
def test_an_address_is_refused_where_it_would_not_be_used_or_is_none(module):
    if not {"url", "source"} <= settings_of(module):
        return
    with pytest.raises(ValueError, match=r"data\.url is given, and data\.source=.* downloads noth"):
        made(module, url="https://host/x")
    for url in ("ftp://host/x", "host/x", "https://"):
        with pytest.raises(DownloadError, match="refused"):
            made(module, url=url, source="original", path="there")
    with pytest.raises(ValueError, match=r"data\.url is of type int"):
        made(module, url=5, source="original", path="there")
    assert made(module, url="https://host/x", source="original", path="there").url


def test_torchvision_stands_for_an_address_of_digits_alone():
    assert Digits(url="torchvision", source="original", path="there").url == "torchvision"
    with pytest.raises(DownloadError):
        made(Warcraft, url="torchvision", source="original", path="there")


@pytest.mark.parametrize("rho", [-0.1, 5.1, float("nan"), float("inf"), "half", None, True])
def test_the_rate_of_wrong_labels_is_checked(rho):
    with pytest.raises(ValueError, match=r"corruption\.label_rho is .*in \[0, 5\]"):
        made(GlobeTSP, label_rho=rho)


class Unfinished(TensorDataModule):
    """A data set that does not say where its data come from."""

    data_fingerprint = "f"

    def columns(self, split):
        return {}


def test_a_data_module_must_say_what_a_record_needs():
    for module in LEAST:
        assert checked_fingerprint(made(module)) == made(module).data_fingerprint
    with pytest.raises(ValueError, match="Unfinished, the data module, has no text 'source'"):
        checked_fingerprint(Unfinished(1, 1, 1, 0))
    with pytest.raises(ValueError, match="SimpleNamespace, the data module, has no text 'data_fi"):
        checked_fingerprint(type("SimpleNamespace", (), {"source": "original"})())

    class Bare(TensorDataModule):
        def columns(self, split):
            return {}

    with pytest.raises(TypeError, match=r"abstract method '?data_fingerprint"):
        Bare(1, 1, 1, 0)
