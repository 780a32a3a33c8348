"""The published Globe TSP folder, in a small copy made here, right and with every corruption."""

import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from combgrad.data.files.download import DownloadError
from combgrad.data.files.npy import DataFileError
from combgrad.data.globe.original import PUBLISHED, is_one_cycle, load_original
from combgrad.data.splits import SPLITS

DOI = "10.17617/3.YJCQ5S"
K = 6
COUNTRIES = 100
SIZES = {"train": 7, "val": 3, "test": 4}


def lonlat() -> np.ndarray:
    """The (C, 2) coordinates of made-up capitals, degrees."""
    rng = np.random.default_rng(5)
    return np.round(rng.uniform((-180, -60), (180, 70), size=(COUNTRIES, 2)), 2)


def flags() -> np.ndarray:
    """Flags (C, 20, 40, 3) uint8 in RGB."""
    return np.random.default_rng(6).integers(0, 256, (COUNTRIES, 20, 40, 3), dtype=np.uint8)


def distance(place: np.ndarray, kind: str) -> np.ndarray:
    """Distances (C, C): by the law of cosines in km, by the chord of it, or on a flat map."""
    lon, lat = np.radians(place).T
    cosine = np.outer(np.sin(lat), np.sin(lat))
    cosine += np.outer(np.cos(lat), np.cos(lat)) * np.cos(lon[:, None] - lon)
    cosine = np.clip(cosine, -1, 1)
    if kind == "great_circle":
        return 6371 * np.arccos(cosine)
    if kind == "chord":
        return np.sqrt(2 - 2 * cosine)
    return np.hypot(*(place[:, None] - place[None]).transpose(2, 0, 1))


def tour_of(order: np.ndarray) -> np.ndarray:
    """The directed 0/1 matrix (k, k) of the round through `order`."""
    matrix = np.zeros((len(order), len(order)), dtype=np.uint8)
    matrix[order, np.roll(order, -1)] = 1
    return matrix


def write_countries(folder: Path, pictures: np.ndarray, place: np.ndarray | None = None) -> None:
    """Write a countries.npy of tuples (name, (lon, lat), flag stored blue first)."""
    rows = np.empty(COUNTRIES, dtype=object)
    place = lonlat() if place is None else place
    for row, (lon, lat) in enumerate(place):
        rows[row] = (f"Country {row}", (float(lon), float(lat)), pictures[row, ..., ::-1])
    np.save(folder / "countries.npy", rows, allow_pickle=True)


def write_set(root: Path, k: int = K, kind: str = "great_circle") -> Path:
    """Write a globe_tsp folder with instances of k cities; return the folder of that k."""
    folder = root / "globe_tsp" / f"{k}_countries_from_100"
    folder.mkdir(parents=True)
    write_countries(folder, flags())
    rng = np.random.default_rng(7)
    table = distance(lonlat(), kind)
    for split, size in SIZES.items():
        indices = np.array([rng.permutation(COUNTRIES)[:k] for _ in range(size)], dtype=np.uint8)
        tours = np.array([tour_of(rng.permutation(k)) for _ in range(size)])
        distances = table[indices[:, :, None], indices[:, None, :]].astype(np.float32)
        np.save(folder / f"{split}_indices.npy", indices)
        np.save(folder / f"{split}_tsp_tours.npy", tours)
        np.save(folder / f"{split}_distance_matrices.npy", distances)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of k = 6 in a right copy."""
    return write_set(tmp_path)


def edit(path: Path, change: Callable[[np.ndarray], Any]) -> None:
    """Change the array of a file: in place, or to what `change` returns."""
    array = np.load(path)
    changed = change(array)
    np.save(path, array if changed is None else changed)


@pytest.mark.parametrize("k", [5, 20])
def test_right_folder_is_read(tmp_path: Path, k: int) -> None:
    stored = write_set(tmp_path, k=k)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_original(stored.parent, k)
    assert loaded.countries.names[:2] == ("Country 0", "Country 1")
    np.testing.assert_array_equal(loaded.countries.lonlat, lonlat(), strict=True)
    np.testing.assert_array_equal(loaded.countries.flags, flags(), strict=True)
    assert tuple(loaded.splits) == SPLITS
    for split, part in loaded.splits.items():
        indices = np.load(stored / f"{split}_indices.npy")
        tours = np.load(stored / f"{split}_tsp_tours.npy")
        np.testing.assert_array_equal(part.indices, indices.astype(np.int64), strict=True)
        np.testing.assert_array_equal(part.tours, tours | tours.swapaxes(1, 2), strict=True)
        assert part.distances.dtype == np.float32
        assert part.distances.shape == (SIZES[split], k, k)


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.int32])
def test_other_number_types_are_accepted(folder: Path, dtype: type) -> None:
    wanted = load_original(folder.parent, K)
    for split in SPLITS:
        for name in ("indices", "tsp_tours"):
            edit(folder / f"{split}_{name}.npy", lambda array: array.astype(dtype))
    found = load_original(folder.parent, K)
    for split in SPLITS:
        for name in ("indices", "tours"):
            np.testing.assert_array_equal(
                getattr(found.splits[split], name), getattr(wanted.splits[split], name), strict=True
            )


def test_tours_stored_symmetric_are_the_same(folder: Path) -> None:
    wanted = load_original(folder.parent, K).splits["val"].tours
    edit(folder / "val_tsp_tours.npy", lambda tours: tours | tours.swapaxes(1, 2))
    np.testing.assert_array_equal(load_original(folder.parent, K).splits["val"].tours, wanted)


@pytest.mark.parametrize("kind", ["great_circle", "chord", "planar"])
def test_kind_of_distance_is_found(tmp_path: Path, kind: str) -> None:
    assert load_original(write_set(tmp_path, kind=kind).parent, K).distance_kind == kind


@pytest.mark.parametrize("change", [np.sqrt, np.zeros_like, lambda d: d * (1 + (d > 3000))])
def test_unknown_distance_warns(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for split in SPLITS:
        edit(folder / f"{split}_distance_matrices.npy", change)
    with pytest.warns(UserWarning, match="fit neither the sphere nor the plane"):
        assert load_original(folder.parent, K).distance_kind == "unknown"


@pytest.mark.parametrize(
    "stored",
    [
        lambda f: f.astype(np.float32),
        lambda f: f.astype(np.float64) / 255,
        lambda f: f.astype(np.int64),
    ],
)
def test_flags_of_other_scales_are_normalised(
    folder: Path, stored: Callable[[np.ndarray], np.ndarray]
) -> None:
    write_countries(folder, stored(flags()))
    found = load_original(folder.parent, K).countries.flags
    np.testing.assert_array_equal(found, flags(), strict=True)


@pytest.mark.parametrize(
    ("pictures", "match"),
    [
        (flags().astype(np.float32) - 1, "flags range from -1 to 254"),
        (flags().astype(np.int16) * 2, "flags range from 0 to 510"),
        (np.full((COUNTRIES, 20, 40, 3), np.nan), "no colours"),
        (flags()[:, :10], "flags"),
        (flags().astype(str), "no colours"),
    ],
)
def test_wrong_flags_are_named(folder: Path, pictures: np.ndarray, match: str) -> None:
    write_countries(folder, pictures)
    with pytest.raises(DataFileError, match=rf"countries\.npy: .*{match}"):
        load_original(folder.parent, K)


@pytest.mark.parametrize("place", [lonlat()[:, ::-1], np.full((COUNTRIES, 2), np.nan)])
def test_wrong_coordinates_are_named(folder: Path, place: np.ndarray) -> None:
    write_countries(folder, flags(), place)
    with pytest.raises(DataFileError, match=r"countries\.npy: .*lonlat"):
        load_original(folder.parent, K)


@pytest.mark.parametrize("shape", [(99,), (), (100, 2)])
def test_wrong_number_of_countries_is_named(folder: Path, shape: tuple[int, ...]) -> None:
    np.save(folder / "countries.npy", np.full(shape, None, dtype=object), allow_pickle=True)
    with pytest.raises(DataFileError, match=r"countries\.npy: expected 100 countries"):
        load_original(folder.parent, K)


def test_rows_that_are_no_tuples_are_named(folder: Path) -> None:
    np.save(folder / "countries.npy", np.full(100, None, dtype=object), allow_pickle=True)
    with pytest.raises(DataFileError, match=r"countries\.npy: expected rows of name"):
        load_original(folder.parent, K)


FILES = ["countries.npy"] + [
    f"{split}_{name}.npy"
    for split in SPLITS
    for name in ("indices", "tsp_tours", "distance_matrices")
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [None, 0, 100, -1])
def test_missing_and_truncated_files_are_named(folder: Path, name: str, kept: int | None) -> None:
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if kept is not None:
        (folder / name).write_bytes(content[:kept])
    with pytest.raises(DataFileError) as caught:
        load_original(folder.parent, K)
    assert str(folder / name) in str(caught.value)


def put(value: float, *place: int) -> Callable[[np.ndarray], np.ndarray]:
    """A change of one value, in a type that can hold it."""

    def change(array: np.ndarray) -> np.ndarray:
        array = array.astype(np.float64 if isinstance(value, float) else np.int64)
        array[place] = value
        return array

    return change


def two_triangles(tours: np.ndarray) -> None:
    """Replace the tour of one instance by two that never meet."""
    tours[2] = 0
    tours[2, :3, :3] = tours[2, 3:, 3:] = tour_of(np.arange(3))


def path_with_loops(tours: np.ndarray) -> None:
    """Replace the tour of one instance by a path whose two ends lead to themselves."""
    tours[1] = np.eye(K, k=1)
    tours[1, 0, 0] = tours[1, -1, -1] = 1


def repeat_city(indices: np.ndarray) -> None:
    """Let one instance visit a country twice."""
    indices[1, 4] = indices[1, 0]


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("indices", put(100, 2, 0), "instance 2 names a country outside 0..99"),
        ("indices", put(-1, 2, 0), "instance 2 names a country outside 0..99"),
        ("indices", put(1.5, 2, 0), "instance 2 holds a fraction"),
        ("indices", put(np.nan, 2, 0), "instance 2 holds a fraction"),
        ("indices", repeat_city, "instance 1 names a country twice"),
        ("indices", lambda a: a[:, :5], r"expected .* \(any, 6\), found uint8 of shape \(3, 5\)"),
        ("tsp_tours", put(2, 0, 0, 1), "instance 0 holds values other than 0 and 1"),
        ("tsp_tours", put(np.nan, 0, 0, 1), "instance 0 holds values other than 0 and 1"),
        ("tsp_tours", put(1, 1, 3, 3), "instance 1 does not have 12 ones"),
        ("tsp_tours", path_with_loops, "instance 1 does not have 12 ones"),
        ("tsp_tours", np.zeros_like, r"instance 0 does not .* \(3 of 3 instances do\)"),
        ("tsp_tours", two_triangles, "instance 2 falls into several tours"),
        ("tsp_tours", lambda a: a[:2], r"expected .* \(3, 6, 6\), found"),
        ("tsp_tours", lambda a: a.astype(str), "found <U3"),
        ("distance_matrices", put(np.nan, 1, 0, 1), "instance 1 holds NaN or infinity"),
        ("distance_matrices", put(np.inf, 1, 0, 1), "instance 1 holds NaN or infinity"),
        ("distance_matrices", put(-1.0, 1, 0, 1), "instance 1 holds a negative distance"),
        ("distance_matrices", put(1.0, 1, 0, 1), "instance 1 is not symmetric"),
        ("distance_matrices", put(99.0, 1, 2, 2), "instance 1 puts a country at a distance"),
        ("distance_matrices", lambda a: a[:, :5, :5], r"expected .* \(3, 6, 6\), found"),
    ],
)
def test_corrupt_values_are_named(
    folder: Path, name: str, change: Callable[[np.ndarray], Any], match: str
) -> None:
    path = folder / f"val_{name}.npy"
    edit(path, change)
    with pytest.raises(DataFileError, match=match) as caught:
        load_original(folder.parent, K)
    assert str(path) in str(caught.value)


def test_absent_k_is_named_with_the_others(folder: Path) -> None:
    with pytest.raises(DataFileError, match=f"there are: {folder.name}.*{DOI}"):
        load_original(folder.parent, 10)


def test_cycles_are_told_from_several_by_walking_them() -> None:
    rng = np.random.default_rng(0)
    tours, wanted = [], []
    for lengths in [(9,), (3, 6), (6, 3), (3, 3, 3), (4, 5), (5, 4), (9,)]:
        order, start = rng.permutation(9), 0
        matrix = np.zeros((9, 9), dtype=np.uint8)
        for length in lengths:
            part = order[start : start + length]
            matrix[part, np.roll(part, -1)] = matrix[np.roll(part, -1), part] = 1
            start += length
        tours.append(matrix)
        wanted.append(len(lengths) == 1)
    assert is_one_cycle(np.stack(tours)).tolist() == wanted


@pytest.mark.parametrize("below", ["", "globe_tsp", "datasets", "datasets/globe_tsp"])
def test_folder_is_found_at_and_below_root(tmp_path: Path, below: str) -> None:
    # Laid out as <root>/datasets/globe_tsp/<k>..., and looked for from four places.
    stored = write_set(tmp_path / "datasets")
    root = {"": tmp_path, "datasets": tmp_path / "datasets"}.get(below, stored.parent)
    assert PUBLISHED.find_or_download(root, url=None) == stored.parent


def test_hidden_folders_are_not_found(tmp_path: Path) -> None:
    write_set(tmp_path / ".globe_tsp-half")
    with pytest.raises(DownloadError, match="holds neither"):
        PUBLISHED.find_or_download(tmp_path, url=None)


def test_absent_folder_is_named_with_all_remedies(tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        PUBLISHED.find_or_download(tmp_path / "gone", url=None)
    message = str(caught.value)
    for part in (DOI, "5_countries_from_100", "data.path=", "COMBGRAD_DATA", "data.url="):
        assert part in message
    assert str(tmp_path / "gone") in message
    assert not (tmp_path / "gone").exists()


def archive_of(stored: Path, archive: Path, top: str) -> Path:
    """Pack the set into an archive under the folder `top` in it."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz") as bundle:
        bundle.add(stored, arcname=f"{top}{stored.name}")
    return archive


@pytest.mark.parametrize("top", ["", "globe_tsp/"])
def test_archive_put_there_by_hand_is_unpacked(tmp_path: Path, top: str) -> None:
    stored = write_set(tmp_path / "source")
    archive_of(stored, tmp_path / "root" / "globe_tsp.tar.gz", top)
    found = PUBLISHED.find_or_download(tmp_path / "root", url=None)
    assert load_original(found, K).distance_kind == "great_circle"
    assert PUBLISHED.find_or_download(tmp_path / "root", url=None) == found


def test_archive_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    archive_of(tmp_path / "other", tmp_path / "globe_tsp.tar.gz", "")
    with pytest.raises(DownloadError, match=f"move it away.*{DOI}"):
        PUBLISHED.find_or_download(tmp_path, url=None)


def test_archive_is_downloaded(tmp_path: Path, server: Any) -> None:
    archive = archive_of(write_set(tmp_path / "source"), tmp_path / "any.tar.gz", "globe_tsp/")
    server.handler.content = archive.read_bytes()
    server.plan += ["404"]
    with pytest.raises(DownloadError, match=f"404.*{DOI}"):
        PUBLISHED.find_or_download(tmp_path / "root", url=server.url)
    found = PUBLISHED.find_or_download(tmp_path / "root", url=server.url)
    assert len(load_original(found, K).splits["train"].indices) == SIZES["train"]
    assert PUBLISHED.find_or_download(tmp_path / "root", url="http://127.0.0.1:1/unused") == found
