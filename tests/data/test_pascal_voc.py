"""Pascal VOC with key points, from archives in the form in which they were published."""

import tarfile

import numpy as np
import pytest

from archive_files import picture, points_of, write_tar
from combgrad.data.base import Place
from combgrad.data.files.npy import DataFileError
from combgrad.data.matching.voc import PascalVOC, read_split


def object_xml(name, **flaws):
    marks = "".join(f"<{key}>{value}</{key}>" for key, value in flaws.items())
    return f"<object><name>{name}</name>{marks}</object>"


def challenge_xml(*objects):
    return f"<annotation><filename>x.jpg</filename>{''.join(objects)}</annotation>".encode()


def berkeley_xml(image, bounds, points):
    left, top, width, height = bounds
    marks = "".join(
        f'<keypoint name="{name}" visible="1" x="{x}" y="{y}" z="0.0"/>' for name, x, y in points
    )
    return (
        f"<annotation><image>{image}</image><voc_id>1</voc_id><category>car</category>"
        f'<visible_bounds height="{height}" width="{width}" xmin="{left}" ymin="{top}"/>'
        f"<keypoints>{marks}</keypoints></annotation>"
    ).encode()


POINTS = [("Roof", 30, 20), ("Wheel", 20.5, 60), ("Light", 69, 41), ("Tail", 5, 20)]


@pytest.fixture
def voc(tmp_path):
    """Three cars to train on, of which one has a flaw, two to test, people of 2008 and of 2009."""
    folder = "TrainVal/VOCdevkit/VOC2011"
    files, marks = {}, {}
    for image in ("2007_000001", "2008_000002", "2009_000003"):
        files[f"{folder}/JPEGImages/{image}.jpg"] = picture(100, 80, "JPEG")
        files[f"{folder}/Annotations/{image}.xml"] = challenge_xml(
            object_xml("car", truncated=0, difficult=0),
            object_xml("car", truncated=1),
            object_xml("person", occluded=0),
            object_xml("car", occluded=1, difficult=0),
            object_xml("car", difficult=1),
        )
        for number in range(1, 6):
            group = "person" if number == 3 else "car"
            content = berkeley_xml(image, (10, 20, 60, 40), POINTS[: 4 if number < 3 else 3])
            marks[f"annotations/{group}/{image}_{number}.xml"] = content
    marks["annotations/aeroplane/2007_000032_1.xml"] = berkeley_xml("none", (0, 0, 1, 1), [])
    write_tar(tmp_path / "VOCtrainval_25-May-2011.tar", files)
    write_tar(tmp_path / "voc2011_keypoints_Feb2012.tgz", marks, "w:gz")
    names = {
        "train": [
            [],
            [f"car/{i}_{n}.xml" for i in ("2007_000001", "2008_000002") for n in (1, 2, 4, 5)],
            ["person/2007_000001_3.xml", "person/2008_000002_3.xml", "person/2009_000003_3.xml"],
        ],
        "test": [[], ["car/2009_000003_1.xml", "car/2007_000001_1.xml"], []],
    }
    write_split(tmp_path / "voc2011_pairs.npz", names)
    return tmp_path


def write_split(file, names):
    arrays = {}
    for split, lists in names.items():
        arrays[split] = np.empty(len(lists), dtype=object)
        arrays[split][:] = lists
    np.savez(file, **arrays)


def test_voc_has_the_cropped_objects_without_a_flaw(voc):
    found = PascalVOC().read(Place(voc))
    assert found.marked.names == (
        "car/2007_000001_1.xml",
        "car/2008_000002_1.xml",
        "person/2007_000001_3.xml",
        "person/2008_000002_3.xml",
        "car/2009_000003_1.xml",
        "car/2007_000001_1.xml",
    )
    assert [found.categories[c] for c in found.marked.category] == [
        *("car", "car", "person", "person", "car", "car")
    ]
    # By name: Light, Roof, Tail (outside of the bounds, so left out), Wheel.
    wanted = {0: (69, 41), 1: (30, 20), 3: (20.5, 60)}
    for label, place in points_of(found, 0).items():
        x, y = wanted.pop(label)
        assert place == pytest.approx([(x - 10) * 256 / 60, (y - 20) * 256 / 40], abs=1e-4)
    assert not wanted
    train, test = found.splits["train"].members, found.splits["test"].members
    assert {found.categories[c]: m.tolist() for c, m in train.items()} == {
        "car": [0, 1],
        "person": [2, 3],
    }
    assert {found.categories[c]: m.tolist() for c, m in test.items()} == {"car": [4, 5]}


@pytest.mark.parametrize(("last", "kept"), [(0, True), (1, False)])
def test_the_last_object_stands_for_number_zero(voc, last, kept):
    """As the published code has it; the published split numbers 1,966 people so."""
    name = "person/2008_000002_0.xml"
    marks = voc / "voc2011_keypoints_Feb2012.tgz"
    whole = berkeley_xml("2008_000002", (10, 20, 60, 40), POINTS[:3])
    rewrite(marks, f"annotations/{name}", whole, "w:gz")
    annotation = "TrainVal/VOCdevkit/VOC2011/Annotations/2008_000002.xml"
    objects = [object_xml("car", truncated=0)] * 4 + [object_xml("person", truncated=last)]
    rewrite(voc / "VOCtrainval_25-May-2011.tar", annotation, challenge_xml(*objects))
    cars = [f"car/{image}_1.xml" for image in ("2007_000001", "2008_000002", "2009_000003")]
    people = ["person/2007_000001_3.xml", name]
    write_split(voc / "voc2011_pairs.npz", {"train": [cars, people], "test": [cars, []]})
    if kept:
        assert name in PascalVOC().read(Place(voc)).marked.names
    else:
        with pytest.raises(DataFileError, match="person: none of its 1 pictures"):
            PascalVOC().read(Place(voc))


def test_an_object_of_voc_is_cut_out_of_its_picture(voc):
    file = PascalVOC().read(Place(voc)).marked.files[0]
    assert file.box == (10, 20, 70, 60)
    pixels = file.pixels().astype(float)
    # Red grows by 255/99 a pixel and green by 255/79; the middles of the outermost new pixels lie
    # (60/256)/2 inside of the box, and JPEG rounds.
    ends = [(10 - 0.5 + 30 / 256) * 255 / 99, (70 - 0.5 - 30 / 256) * 255 / 99]
    np.testing.assert_allclose(pixels[0, 128, [0, -1]], ends, atol=6)
    ends = [(20 - 0.5 + 20 / 256) * 255 / 79, (60 - 0.5 - 20 / 256) * 255 / 79]
    np.testing.assert_allclose(pixels[1, [0, -1], 128], ends, atol=6)


def test_a_missing_split_file_is_named(voc):
    (voc / "voc2011_pairs.npz").unlink()
    with pytest.raises(DataFileError, match=r"voc2011_pairs\.npz: no such file"):
        PascalVOC().read(Place(voc))


class Malicious:
    def __reduce__(self):
        return (print, ("never called",))


def test_nothing_in_the_split_file_is_called(tmp_path, capsys):
    file = tmp_path / "voc2011_pairs.npz"
    array = np.empty(1, dtype=object)
    array[0] = Malicious()
    np.savez(file, train=array)
    with pytest.raises(DataFileError, match=r"voc2011_pairs\.npz: .*the pickle names .*print"):
        read_split(file, "train")
    with pytest.raises(DataFileError, match=r"voc2011_pairs\.npz: cannot be read"):
        read_split(file, "test")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "name",
    ["../car/2007_000001_1.xml", "/car/2007_000001_1.xml", "cat.xml", 5, "lion/2007_1_1.xml"],
)
def test_names_of_the_split_file_must_be_names_of_annotations(tmp_path, name):
    write_split(tmp_path / "voc2011_pairs.npz", {"train": [["car/2007_000001_1.xml", name]]})
    with pytest.raises(DataFileError, match="is no name of an annotation"):
        read_split(tmp_path / "voc2011_pairs.npz", "train")


def test_a_split_file_cut_short_is_named(voc):
    file = voc / "voc2011_pairs.npz"
    for content in (file.read_bytes()[:200], b"nothing", b""):
        file.write_bytes(content)
        with pytest.raises(DataFileError, match=r"voc2011_pairs\.npz: is damaged or cut short"):
            read_split(file, "train")


def rewrite(archive, name, content, mode="w"):
    with tarfile.open(archive) as bundle:
        files = {m.name: bundle.extractfile(m).read() for m in bundle.getmembers()}
    if content is None:
        del files[name]
    else:
        files[name] = content
    write_tar(archive, files, mode)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<annotation>", r"car.2007_000001_1\.xml: cannot be read"),
        (b"<annotation/>", r"car.2007_000001_1\.xml: has no bounds or points"),
        (berkeley_xml("i", (0, 0, 0, 5), []), r"2007_000001_1\.xml: has bounds of 0\.0 x 5\.0"),
        (berkeley_xml("i", (0, 0, 9, "wide"), POINTS), r"2007_000001_1\.xml: has no bounds"),
        (None, r"car.2007_000001_1\.xml: cannot be read"),
        (berkeley_xml("i", (0, 0, 90, 70), []), r"car: none of its 2 pictures has 2 marked poin"),
        (berkeley_xml("i", (0, 0, 90, 70), POINTS[:1]), r"car: none of its 2 pictures has 2"),
    ],
)
def test_wrong_annotations_of_voc_are_named(voc, content, message):
    """No and one key point are no error of their own, but make no pair."""
    archive = voc / "voc2011_keypoints_Feb2012.tgz"
    rewrite(archive, "annotations/car/2007_000001_1.xml", content, "w:gz")
    with pytest.raises(DataFileError, match=message):
        PascalVOC().read(Place(voc))


def test_what_the_challenge_does_not_have_is_named(voc):
    archive = voc / "VOCtrainval_25-May-2011.tar"
    folder = "TrainVal/VOCdevkit/VOC2011"
    few = challenge_xml(object_xml("car"))
    rewrite(archive, f"{folder}/Annotations/2007_000001.xml", few)
    with pytest.raises(DataFileError, match=r"2007_000001\.xml: has no object 2, of car"):
        PascalVOC().read(Place(voc))


def test_a_picture_of_voc_that_is_missing_is_named_at_once(voc):
    archive = voc / "VOCtrainval_25-May-2011.tar"
    rewrite(archive, "TrainVal/VOCdevkit/VOC2011/JPEGImages/2007_000001.jpg", None)
    with pytest.raises(DataFileError, match=r"2007_000001\.jpg: no such picture, though the set"):
        PascalVOC().read(Place(voc))
