"""The data that committed records were made with are the data of today."""

import json
import os
from pathlib import Path

import pytest
from hydra.utils import instantiate

from combgrad.data.warcraft.datamodule import Warcraft

RUNS = Path(__file__).parents[2] / "results" / "runs"
ROOT = os.environ.get("COMBGRAD_DATA")
WITHOUT_FILES = ("regenerated", "stand-in")


def recorded() -> dict[str, tuple[str, str]]:
    """The source and fingerprint of each different set of data settings."""
    found = {}
    for path in sorted(RUNS.glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        # Labels never depended on it: it was the exact one in all these runs.
        settings = {key: v for key, v in record["config"]["data"].items() if key != "solver"}
        known = (record["data_source"], record["data_fingerprint"])
        assert found.setdefault(json.dumps(settings, sort_keys=True), known) == known
    return found


def test_settings_of_committed_records_give_their_fingerprints():
    sets = recorded()
    assert len({mark for _, mark in sets.values()}) >= 7
    for settings, (source, mark) in sets.items():
        chosen = json.loads(settings)
        if source not in WITHOUT_FILES and ROOT is None:
            continue
        # It is told of by a fingerprint of its own.
        chosen.pop("backbone", None)
        data = instantiate({**chosen, "path": ROOT})
        assert (data.source, data.data_fingerprint) == (source, mark), settings


@pytest.mark.parametrize("cells", [12, 30])
def test_the_fingerprint_of_maps_is_that_of_records_whatever_their_number(cells):
    marks = {
        mark
        for settings, (_, mark) in recorded().items()
        if json.loads(settings).get("cells") == cells
    }
    assert marks == {Warcraft(cells, train_size=3, eval_size=1).data_fingerprint}
