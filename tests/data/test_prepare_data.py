"""The script that reads or writes data ahead of the first run."""

import json
import sys
from pathlib import Path

import pytest

from combgrad.data.reviews.datamodule import Reviews
from loading import loaded

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_data.py"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs the script in a folder of its own and returns what it prints."""
    script = loaded(SCRIPT)
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["prepare_data.py", *map(str, words)])
        script.main()
        return capsys.readouterr().out

    return call


SIZES = ("--train", 12, "--heldout", 6, "--annotated", 4)


def test_made_up_reviews_are_written_and_then_prepared(run, tmp_path):
    run("reviews", "--stand-in", "--out", "made", "--aspect", "palate", *SIZES)
    made = tmp_path / "made"
    counts = {path.name: len(path.read_text().splitlines()) for path in made.iterdir()}
    assert counts.pop("review+wiki.filtered.200.txt") > 1500
    assert counts == {
        "made-up.txt": 1,
        "reviews.aspect2.train.txt": 12,
        "reviews.aspect2.heldout.txt": 6,
        "annotations.json": 4,
    }
    lines = (made / "reviews.aspect2.train.txt").read_text().splitlines()
    texts = [line.split("\t")[1].split() for line in lines]
    words = {word for text in texts for word in text}
    vectors = {line.split()[0] for line in (made / "review+wiki.filtered.200.txt").open()}
    printed = run("reviews", "--path", "made", "--aspect", "palate")
    assert "12 for training, 6 held out, 4 annotated for palate" in printed
    assert f"{len(words):,}, {len(words & vectors) / len(words):.1%} of them with" in printed
    assert f"{sum(map(len, texts)) / 12:.1f} words on average, 0.0% longer than 350" in printed
    record = json.loads((tmp_path / ".cache" / "reviews-checksums.json").read_text())
    for path, entry in record.items():
        assert f"{entry['sha256']}  {Path(path).name}" in printed
    assert len(list((tmp_path / ".cache").glob("reviews-palate-*"))) == 1
    assert run("reviews", "--path", "made", "--aspect", "palate") == printed
    # Read back as if they were the published ones, they still say what they are.
    assert Reviews("palate", source="original", path=str(made)).source == "stand-in"


def test_missing_files_are_told_in_one_line(run, tmp_path):
    with pytest.raises(SystemExit, match=r"^error: .*reviews.aspect1.train.txt: no such file"):
        run("reviews", "--path", tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "reviews"),
        (("reviews",), "--path --stand-in"),
        (("reviews", "--stand-in"), "belong together"),
        (("reviews", "--path", "x", "--out", "y"), "belong together"),
        (("reviews", "--path", "x", "--stand-in"), "not allowed with"),
        (("reviews", "--path", "x", "--aspect", "smell"), "invalid choice: 'smell'"),
        (("reviews", "--stand-in", "--out", "y", "--train", "0"), "'0' is no number of reviews"),
        (("reviews", "--stand-in", "--out", "y", "--seed", "-1"), "'-1' is no seed"),
    ],
)
def test_a_senseless_command_line_is_refused(run, capsys, words, message):
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
