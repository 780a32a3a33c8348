"""Sets of images with classes, read from small archives of their exact form."""

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from archive_files import picture, write_tar, write_zip
from combgrad.data.base import Place
from combgrad.data.digits import images
from combgrad.data.files.npy import DataFileError
from combgrad.data.files.web import DownloadError
from combgrad.data.retrieval import birds, goods
from combgrad.data.retrieval.birds import CUB2010, CUB2011
from combgrad.data.retrieval.digits import MNIST, OpticalDigits
from combgrad.data.retrieval.goods import Cars196, OnlineProducts

REAL = Path(os.environ.get("COMBGRAD_DATA", "nowhere"))
SPECIES = ["001.Black_footed_Albatross", *(f"{n:03}.Bird_{n}" for n in range(2, 201))]


def bird_files(prefix, name):
    """Two pictures of each species, as both editions have them."""
    some = picture(20, 14, "JPEG")
    return {
        f"{prefix}images/{place}/{name.format(place[4:])}_{number:04}_{number + 77}.jpg": some
        for place in SPECIES
        for number in (1, 2)
    }


def edition_of_2011():
    """The files of 2011 with the list of its pictures, each by its number."""
    files = bird_files("CUB_200_2011/", "{}")
    names = [name.removeprefix("CUB_200_2011/images/") for name in files]
    listed = "".join(f"{number} {name}\n" for number, name in enumerate(names, 1))
    files["CUB_200_2011/images.txt"] = listed.encode()
    files["CUB_200_2011/image_class_labels.txt"] = b"1 1\n"
    return files


def check_birds(found):
    assert len(found.labels) == 400
    assert found.categories == tuple(SPECIES)
    assert found.labels.tolist() == [n for n in range(200) for _ in range(2)]
    assert found.trains.tolist() == [True] * 200 + [False] * 200
    assert found.files[0].pixels(9).shape == (3, 9, 9)


def test_the_edition_of_2011_is_read_from_its_archive(tmp_path):
    files = edition_of_2011()
    files["attributes.txt"] = b"beside the folder"
    write_tar(tmp_path / "CUB_200_2011.tgz", files, "w:gz")
    check_birds(CUB2011().read(Place(tmp_path)))
    again = CUB2011().read(Place(tmp_path))
    assert again.fingerprint() == CUB2011().read(Place(tmp_path)).fingerprint()
    with pytest.raises(DownloadError, match=r"CUB_200_2011\.tgz.*data=digits_by_class"):
        CUB2011().read(Place(tmp_path / "empty"))


def test_the_edition_of_2010_is_read_from_its_archive_and_from_the_small_one(tmp_path):
    files = bird_files("", "{}")
    hidden = f"images/{SPECIES[4]}/._mac.jpg"
    write_tar(tmp_path / "images.tgz", files | {hidden: b"no picture"}, "w:gz")
    published = CUB2010().read(Place(tmp_path))
    check_birds(published)
    small = tmp_path / "small" / "cub200_2010"
    small.mkdir(parents=True)
    write_tar(small / "cub200_2010_144.tar", files)
    found = CUB2010().read(Place(tmp_path / "small", cache=tmp_path / "cache"))
    check_birds(found)
    assert found.fingerprint() == published.fingerprint()
    assert found.files[0].path.is_relative_to(tmp_path / "cache")


def test_missing_species_are_named(tmp_path):
    files = {name: content for name, content in bird_files("", "{}").items() if "077" not in name}
    write_tar(tmp_path / "images.tgz", files, "w:gz")
    with pytest.raises(DataFileError, match="has 199 folders of species"):
        CUB2010().read(Place(tmp_path))


def test_pictures_that_were_not_unpacked_are_counted(tmp_path):
    """A folder that was half unpacked has all species, and not all of their pictures."""
    files = edition_of_2011()
    del files[max(name for name in files if "/150." in name)]
    write_tar(tmp_path / "part.tar", files)
    with tarfile.open(tmp_path / "part.tar") as part:
        part.extractall(tmp_path, filter="data")
    with pytest.raises(DataFileError, match=r"lacks 1 of the 400 pictures.*the first 150\."):
        CUB2011().read(Place(tmp_path))


def car_list(rows):
    """cars_annos.mat as it is published: structures with boxes, a class and a split of its own."""
    fields = ["relative_im_path", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "test"]
    annotations = np.zeros((1, len(rows)), dtype=[(name, object) for name in fields])
    for place, (path, number) in enumerate(rows):
        annotations[0, place] = (path, 1, 2, 30, 40, number, place % 2)
    names = np.array([f"Make {n} Coupe 2012" for n in range(1, 197)], dtype=object)[None]
    content = io.BytesIO()
    savemat(content, {"annotations": annotations, "class_names": names})
    return content.getvalue()


def test_cars_are_read_from_their_archive_and_list(tmp_path):
    rows = [(f"car_ims/{n:06}.jpg", number) for n, number in enumerate([196, 1, 98, 99, 1], 1)]
    write_tar(tmp_path / "car_ims.tgz", {path: picture(30, 20, "JPEG") for path, _ in rows}, "w:gz")
    with pytest.raises(DataFileError, match=r"cars_annos\.mat: no such file"):
        Cars196().read(Place(tmp_path))
    (tmp_path / "cars_annos.mat").write_bytes(car_list(rows))
    found = Cars196().read(Place(tmp_path))
    wanted = ["000002", "000005", "000003", "000004", "000001"]
    assert [Path(name).stem for name in found.names] == wanted
    assert found.labels.tolist() == [0, 0, 1, 2, 3]
    assert found.trains.tolist() == [True, True, True, False, False]
    assert found.categories[2] == "Make 99 Coupe 2012"
    assert found.files[0].pixels(8).shape == (3, 8, 8)
    (tmp_path / "cars_annos.mat").write_bytes(b"no list")
    with pytest.raises(DataFileError, match=r"cars_annos\.mat: cannot be read"):
        Cars196().read(Place(tmp_path))


def product_files():
    head = "image_id class_id super_class_id path\n"
    files, lists = {}, {"Ebay_train.txt": head, "Ebay_test.txt": head}
    products = [("Ebay_train.txt", n) for n in (1, 1, 2)]
    products += [("Ebay_test.txt", n) for n in (11319, 11320, 11320)]
    for place, (name, product) in enumerate(products):
        path = f"bicycle_final/{product}_{place}.JPG"
        lists[name] += f"{place + 1} {product} 1 {path}\n"
        files[f"Stanford_Online_Products/{path}"] = picture(12, 10, "JPEG")
    for name, text in lists.items():
        files[f"Stanford_Online_Products/{name}"] = text.encode()
    return files


def test_products_are_read_from_their_archive(tmp_path):
    write_zip(tmp_path / "Stanford_Online_Products.zip", product_files())
    found = OnlineProducts().read(Place(tmp_path))
    assert found.categories == ("1", "2", "11319", "11320")
    assert found.labels.tolist() == [0, 0, 1, 2, 3, 3]
    assert found.trains.tolist() == [True] * 3 + [False] * 3
    assert found.names[5] == "bicycle_final/11320_5.JPG"
    assert found.files[5].size() == (12, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("7 11319 1 \n", r"Ebay_train\.txt, line 5: lacks class_id or path"),
        ("7 11319 1 bicycle_final/1_0.JPG\n", "class 11319 is in training and test"),
    ],
)
def test_lists_of_products_that_are_wrong_are_named(tmp_path, change, message):
    files = product_files()
    files["Stanford_Online_Products/Ebay_train.txt"] += change.encode()
    write_zip(tmp_path / "Stanford_Online_Products.zip", files)
    with pytest.raises(DataFileError, match=message):
        OnlineProducts().read(Place(tmp_path))


def test_a_split_of_one_class_is_refused(tmp_path):
    files = product_files()
    lines = files["Stanford_Online_Products/Ebay_test.txt"].splitlines(keepends=True)
    files["Stanford_Online_Products/Ebay_test.txt"] = b"".join(lines[:2])
    write_zip(tmp_path / "Stanford_Online_Products.zip", files)
    with pytest.raises(DataFileError, match="test split has 1 pictures of fewer than two"):
        OnlineProducts().read(Place(tmp_path))


def test_the_digits_in_the_package_are_split_by_what_they_show():
    found = OpticalDigits().read(Place(None))
    assert found.pixels.shape == (1797, 1, 28, 28)
    assert np.bincount(found.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.array_equal(found.trains, found.labels < 5)
    # A digit's own mean image is nearer to most of its images than that of another.
    means = np.stack([found.pixels[found.labels == n].mean(axis=0) for n in range(10)])
    distance = ((found.pixels[:, None] - means[None]) ** 2).sum(axis=(2, 3, 4))
    assert (distance.argmin(axis=1) == found.labels).mean() > 0.85


def test_mnist_is_both_files_of_images_and_of_labels(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    raw = tmp_path / "mnist" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    pixels, labels = [], []
    for kind, known in (("images", images.MNIST_FILES), ("labels", images.MNIST_LABELS)):
        checksums = {}
        for name, count in zip(known, (30, 10), strict=True):
            shape = (count, 784) if kind == "images" else (count,)
            values = rng.integers(0, 256 if kind == "images" else 10, shape, dtype=np.uint8)
            (pixels if kind == "images" else labels).append(values)
            head = [2051, count, 28, 28] if kind == "images" else [2049, count]
            content = np.array(head, ">i4").tobytes() + values.tobytes()
            packed = gzip.compress(content, mtime=0)
            (raw / f"{name}.gz").write_bytes(packed)
            checksums[name] = tuple(hashlib.md5(x).hexdigest() for x in (packed, content))
        monkeypatch.setattr(images, f"MNIST_{'FILES' if kind == 'images' else 'LABELS'}", checksums)
    found = MNIST().read(Place(tmp_path))
    assert np.array_equal(found.labels, np.concatenate(labels))
    assert np.array_equal(found.pixels.reshape(40, 784), np.concatenate(pixels))
    (raw / "t10k-labels-idx1-ubyte.gz").write_bytes(b"short")
    with pytest.raises(DataFileError, match=r"t10k-labels.*its md5 is"):
        MNIST().read(Place(tmp_path))


def test_archives_are_known_by_what_only_they_have():
    """Both editions of the birds may lie in one folder."""
    marks = {published.mark for published in (birds.EDITION_2010, birds.EDITION_2011)}
    assert marks == {
        "image_class_labels.txt",
        "images/001.Black_footed_Albatross/Black_footed_Albatross_*.jpg",
    }
    assert goods.PRODUCTS.limit_members > 120_053
    assert birds.EDITION_2011.checksum == "md5:97eceeb196236b17998738112f37df78"


@pytest.mark.real_data
@pytest.mark.skipif(not (REAL / "cub200_2010").exists(), reason="COMBGRAD_DATA has no birds")
def test_the_birds_of_2010_are_all_there(tmp_path):
    found = CUB2010().read(Place(REAL, cache=tmp_path))
    assert (len(found.labels), len(found.categories)) == (6033, 200)
    sizes = np.bincount(found.labels)
    assert (sizes.min(), sizes.max()) == (20, 39)


@pytest.mark.real_data
@pytest.mark.skipif(not (REAL / "mnist").exists(), reason="COMBGRAD_DATA has no mnist")
def test_the_labels_of_mnist_are_the_published_ones():
    found = MNIST().read(Place(REAL))
    assert np.bincount(found.labels).tolist() == [
        6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958
    ]  # fmt: skip
