"""Runs on the stand-ins of real data: metrics of all, a picture of each."""

import pytest

from combgrad.runs.configuration import compose
from combgrad.runs.run import run

SMALL = ["profile=smoke", "logger=none", "data.train_size=24", "data.eval_size=6"]


@pytest.mark.parametrize("name", ["pto_energy", "pto_energy_scheduling", "pto_sushi", "mazes"])
def test_each_set_trains_and_is_drawn(name, tmp_path):
    words = [f"experiment={name}", f"data={name}_stand_in", f"paths.root={tmp_path}", *SMALL]
    record = run(compose(words))
    assert record.data_source == "stand-in"
    assert record.metrics["test/normalised_regret"] >= 0
    assert ("test/unambiguous_regret" in record.metrics) == (name != "pto_energy_scheduling")
    (folder,) = (tmp_path / "outputs").iterdir()
    drawn = {path.name for path in folder.glob("*.png")}
    assert "costs.png" in drawn
    assert ("decisions.png" in drawn) == (name != "pto_sushi")


def test_a_set_without_its_files_says_what_to_do(tmp_path):
    words = [f"paths.data={tmp_path}", f"paths.root={tmp_path}", *SMALL]
    with pytest.raises(Exception, match=r"mazes_032_moore_c8\.npz.*data=mazes_stand_in"):
        run(compose(["experiment=mazes", *words]))
