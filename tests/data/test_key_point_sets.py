"""The CMU House sequence, PF-PASCAL and the made-up set of key points."""

import numpy as np
import pytest

from archive_files import picture, points_of
from combgrad.data.base import Place
from combgrad.data.files.npy import DataFileError
from combgrad.data.files.pictures import SIDE
from combgrad.data.matching.cmu_house import CMUHouse
from combgrad.data.matching.pf_pascal import PFPascal
from combgrad.data.matching.synthetic import Synthetic


@pytest.fixture
def house(tmp_path):
    for folder in ("label", "images"):
        (tmp_path / "cmu_house" / "house" / folder).mkdir(parents=True)
    frame = picture(96, 64, "PNG")
    for number in range(111):
        lines = [f"  {(i * 3 + number / 9):.7e}  {(60 - 2 * i):.7e}" for i in range(30)]
        label = tmp_path / "cmu_house" / "house" / "label" / f"house{number + 1}"
        label.write_text("\n".join(lines) + "\n", encoding="utf-8")
        image = tmp_path / "cmu_house" / "house" / "images" / f"house.seq{number}.png"
        image.write_bytes(frame)
    return tmp_path


@pytest.mark.filterwarnings("ignore")
def test_house_pairs_are_ten_to_a_hundred_frames_apart_and_share_no_frame(house):
    found = CMUHouse().read(Place(house))
    assert len(found.marked) == 111
    x, y = points_of(found, 9)[3]
    assert (x, y) == pytest.approx(((9 + 1) * SIDE / 96, (60 - 6) * SIDE / 64), abs=1e-4)
    train, test = (found.splits[split].pictures for split in ("train", "test"))
    assert not set(train.ravel().tolist()) & set(test.ravel().tolist())
    gaps = {split: np.diff(found.splits[split].pictures)[:, 0] for split in ("train", "test")}
    assert (gaps["train"].min(), gaps["train"].max()) == (12, 99)
    assert set(gaps["test"].tolist()) == set(range(10, 101, 10))
    for split in ("train", "test"):
        nearest = [int(name.split()[0]) for name in found.categories]
        told = np.array(nearest)[found.splits[split].category]
        assert (np.abs(told - gaps[split]) <= 5).all()
    assert set(found.splits["train"].category.tolist()) == set(range(10))


@pytest.mark.parametrize("content", ["1 2\n3 4\n", "a b\n", "", "1 2 3\n" * 30])
@pytest.mark.filterwarnings("ignore:.*contained no data")
def test_a_wrong_label_file_of_the_house_is_named(house, content):
    label = house / "cmu_house" / "house" / "label" / "house7"
    label.write_text(content, encoding="utf-8")
    with pytest.raises(DataFileError, match=r"house7: (expected x and y of 30|cannot be read)"):
        CMUHouse().read(Place(house))


def pf_pascal(folder, rows):
    lines = ["source_image,target_image,class,XA,YA,XB,YB", *rows]
    (folder / "test_pairs.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return PFPascal().read(Place(folder))


def test_pf_pascal_fits_points_into_the_picture_and_keeps_pairs_together(tmp_path):
    rows = [
        f"i/{n}.jpg,i/{n + 1}.jpg,{1 + n % 20},0;100;50,0;10;50,5;5;5,1;2;3"
        for n in range(0, 40, 2)
    ]
    rows += ["i/0.jpg,i/38.jpg,1,0;1,0;1,0;1,0;1"]  # joins the first group and the last
    found = pf_pascal(tmp_path, rows)
    assert found.categories[0] == "aeroplane"
    assert found.categories[-1] == "tvmonitor"
    # The longer side, 100, fills 224 pixels, around the middle.
    wanted = {0: [16, 72], 1: [240, 94.4], 2: [128, 184]}
    for label, place in points_of(found, 0).items():
        assert place == pytest.approx(wanted[label], abs=1e-4)
    assert points_of(found, 1) == {0: [128, 16], 1: [128, 128], 2: [128, 240]}
    sizes = {split: len(pool) for split, pool in found.splits.items()}
    assert sum(sizes.values()) == 21
    assert min(sizes.values()) >= 3
    part = {tuple(p): split for split, pool in found.splits.items() for p in pool.pictures.tolist()}
    assert part[(0, 1)] == part[(38, 39)] == part[(40, 41)]
    assert found.marked.files is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,b,1,0;1,0;1,0;1;2,0;1;2", "pair 1: needs as many points on either side"),
        ("a,b,1,0,0,0,0", "pair 1: needs as many points on either side, two or more"),
        ("a,b,1,0;x,0;1,0;1,0;1", "pair 1: cannot be read"),
        ("a,b,21,0;1,0;1,0;1,0;1", "pair 1: cannot be read"),
        ("a,b,1,0;1,0;1;2,0;1,0;1", "pair 1: cannot be read"),
        ("a,b,1", "pair 1: cannot be read"),
        ("a,b,1,0;nan,0;1,0;1,0;1", "pair 1, side A: has a point whose coordinates are no numb"),
    ],
)
def test_a_wrong_row_of_pf_pascal_is_named(tmp_path, row, message):
    with pytest.raises(DataFileError, match=message):
        pf_pascal(tmp_path, [row])


def test_made_up_things_are_the_same_for_a_seed_and_lie_in_their_pictures():
    settings = {"categories": 3, "pictures": 4, "points": 6, "outliers": 2, "hidden": 0.4}
    found, again = (Synthetic(**settings).read(Place(None)).marked for _ in range(2))
    np.testing.assert_array_equal(found.points, again.points)
    np.testing.assert_array_equal(found.features, again.features)
    assert len(found) == 3 * 3 * 4
    assert found.points.min() >= 0
    assert found.points.max() <= SIDE
    np.testing.assert_allclose(np.linalg.norm(found.features, axis=1), 1, rtol=1e-5)
    counts = [np.bincount(found.labels[found.rows(n)] + 1, minlength=7) for n in range(36)]
    assert all(count[0] == 2 and set(count[1:].tolist()) <= {0, 1} for count in counts)
    assert {int(count[1:].sum()) for count in counts} <= {4, 5, 6}
    assert min(int(count[1:].sum()) for count in counts) == 4
    other = Synthetic(**settings, seed=1).read(Place(None)).marked
    assert not np.array_equal(found.points[:20], other.points[:20])


def test_a_mark_of_made_up_things_follows_every_setting():
    changes = {
        "categories": 9,
        "pictures": 51,
        "points": 13,
        "outliers": 1,
        "hidden": 0.2,
        "channels": 34,
        "noise": 0.5,
        "bending": 0.2,
        "seed": 1,
    }
    marks = {Synthetic(**{name: value}).mark() for name, value in changes.items()}
    assert len(marks | {Synthetic().mark()}) == len(changes) + 1


def test_first_features_tell_points_apart_and_second_ones_do_not():
    found = Synthetic(categories=1, pictures=60, points=8, channels=64, hidden=0.0)
    marked = found.read(Place(None)).marked
    halves = np.split(marked.features.reshape(180, 8, 64), 2, axis=2)
    means = [half.mean(0) for half in halves]
    spread = [np.linalg.norm(mean - mean.mean(0), axis=1).min() for mean in means]
    assert spread[0] > 4 * spread[1]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"points": 1}, r"data\.collection\.points is 1; it must be a whole number from 2 to 64"),
        ({"points": 65}, r"data\.collection\.points"),
        ({"pictures": 1}, r"data\.collection\.pictures"),
        ({"channels": 5}, r"data\.collection\.channels is 5; it must be even"),
        ({"hidden": 0.6}, r"data\.collection\.hidden is 0\.6"),
        ({"noise": -1}, r"data\.collection\.noise is -1"),
        ({"bending": float("nan")}, r"data\.collection\.bending is nan"),
        ({"seed": -1}, r"data\.collection\.seed"),
    ],
)
def test_settings_of_the_made_up_set_are_checked(setting, message):
    with pytest.raises(ValueError, match=message):
        Synthetic(**setting)
