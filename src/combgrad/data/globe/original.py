"""The published Globe TSP data: 100 countries, and instances with their shortest tours."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from combgrad.data.files.npy import REMEDY, DataFileError, check_rows, load_array, load_object_array
from combgrad.data.files.published import EDMOND, Published
from combgrad.data.globe.countries import COUNTRY_COUNT, Countries
from combgrad.data.globe.flag_drawing import FLAG_SHAPE
from combgrad.data.globe.sphere import unit_vectors
from combgrad.data.splits import SPLITS

SET_SUFFIX = f"_countries_from_{COUNTRY_COUNT}"
COUNTRIES_FILE = "countries.npy"
INDICES_FILE = "{split}_indices.npy"
TOURS_FILE = "{split}_tsp_tours.npy"
DISTANCES_FILE = "{split}_distance_matrices.npy"

PUBLISHED = Published(
    doi=EDMOND,
    folder="globe_tsp",
    archive="globe_tsp.tar.gz",
    mark=f"*{SET_SUFFIX}/",
    example=f"5{SET_SUFFIX}/{COUNTRIES_FILE}",
    limit_bytes=2 * 10**9,
)

#: Of the largest distance: what rounding to float32 and an arc cosine near 0 may leave.
DISTANCE_TOLERANCE = 1e-3
#: Relative; an ellipsoid differs from a sphere by half as much, other kinds by far more.
KIND_TOLERANCE = 1e-2
KIND_SAMPLE = 500


@dataclass(frozen=True, eq=False)
class OriginalSplit:
    """N instances: indices (N, k) int64, tours (N, k, k) uint8 0/1, distances (N, k, k) float32."""

    indices: np.ndarray
    tours: np.ndarray
    distances: np.ndarray


@dataclass(frozen=True, eq=False)
class OriginalGlobe:
    """The published set for one k, by split; `distance_kind` tells which distances it was made of.

    That is `great_circle`, `chord`, `planar` (of degrees, as if the earth were flat) or `unknown`.
    """

    countries: Countries
    splits: Mapping[str, OriginalSplit]
    distance_kind: str


def load_original(folder: Path, k: int) -> OriginalGlobe:
    """Return the published instances of `k` cities from a folder with `<k>_countries_from_100`.

    Raises DataFileError, naming the file, for anything missing, damaged or inconsistent. Warns
    where the distances are of no known kind.
    """
    folder = Path(folder) / f"{k}{SET_SUFFIX}"
    if not folder.is_dir():
        others = sorted(path.name for path in folder.parent.glob(f"*{SET_SUFFIX}"))
        raise DataFileError(
            f"{folder}: no such folder; there are: {', '.join(others) or 'none'}. Choose one of "
            f"them (data.cities=<k>) or restore the data set (DOI {PUBLISHED.doi})."
        )
    countries = _load_countries(folder / COUNTRIES_FILE)
    splits = {split: _load_split(folder, split, k) for split in SPLITS}
    kind = detect_distance_kind(countries.lonlat, list(splits.values()))
    if kind == "unknown":
        warnings.warn(
            f"{folder}: the distances fit neither the sphere nor the plane of the coordinates in "
            f"{COUNTRIES_FILE}; tours and costs are used as they are.",
            stacklevel=2,
        )
    return OriginalGlobe(countries, splits, kind)


def _load_countries(path: Path) -> Countries:
    rows = load_object_array(path)
    if rows.shape not in ((COUNTRY_COUNT,), (COUNTRY_COUNT, 3)):
        raise DataFileError(
            f"{path}: expected {COUNTRY_COUNT} countries, found shape {rows.shape}. {REMEDY}"
        )
    try:
        texts, gps, flags = zip(*rows, strict=True)
        if not all(isinstance(name, str) for name in texts):
            raise ValueError("a name is no text")
        lonlat = np.array([[float(value) for value in place] for place in gps])
        pictures = np.stack([np.asarray(flag) for flag in flags])
        # The set names no capitals and has no codes; names are distinct and serve as both.
        return Countries(texts, texts, texts, lonlat, _levels(pictures))
    except (TypeError, ValueError) as error:
        raise DataFileError(
            f"{path}: expected rows of name, (lon, lat) in degrees and flag {FLAG_SHAPE}: "
            f"{error}. {REMEDY}"
        ) from error


def _levels(flags: np.ndarray) -> np.ndarray:
    """Flags (C, 20, 40, 3) as uint8 0..255 in RGB, from BGR integers or floats 0..255 or 0..1."""
    if flags.dtype.kind not in "uif" or not np.isfinite(flags).all():
        raise ValueError(f"flags are {flags.dtype} with values that are no colours")
    low, high = float(flags.min()), float(flags.max())
    scale = 255.0 if flags.dtype.kind == "f" and high <= 1.0 else 1.0
    if low < 0 or high > 255:
        raise ValueError(f"flags range from {low:g} to {high:g}, outside 0..255 and 0..1")
    # Stored blue first, as OpenCV does: the publishers' own viewer turns the channels round.
    return np.ascontiguousarray(np.rint(flags * scale).astype(np.uint8)[..., ::-1])


def _load_split(folder: Path, split: str, k: int) -> OriginalSplit:
    path = folder / INDICES_FILE.format(split=split)
    indices = load_array(path, shape=(None, k), dtype_kind="iuf")
    check_rows(path, indices, (indices == np.floor(indices)).all(1), "holds a fraction")
    in_range = ((indices >= 0) & (indices < COUNTRY_COUNT)).all(1)
    check_rows(path, indices, in_range, f"names a country outside 0..{COUNTRY_COUNT - 1}")
    distinct = (np.diff(np.sort(indices, axis=1), axis=1) > 0).all(1)
    check_rows(path, indices, distinct, "names a country twice")
    tours = _load_tours(folder / TOURS_FILE.format(split=split), len(indices), k)
    distances = _load_distances(folder / DISTANCES_FILE.format(split=split), len(indices), k)
    return OriginalSplit(indices.astype(np.int64), tours, distances)


def _load_tours(path: Path, count: int, k: int) -> np.ndarray:
    stored = load_array(path, shape=(count, k, k), dtype_kind="buif")
    binary = ((stored == 0) | (stored == 1)).all((1, 2))
    check_rows(path, stored, binary, "holds values other than 0 and 1")
    tours = ((stored + stored.swapaxes(1, 2)) > 0).astype(np.uint8)
    regular = (tours.sum(2) == 2).all(1) & ~np.diagonal(tours, axis1=1, axis2=2).any(1)
    problem = f"does not have {2 * k} ones, two in each row and none on the diagonal"
    check_rows(path, tours, regular, problem)
    check_rows(path, tours, is_one_cycle(tours), "falls into several tours")
    return tours


def is_one_cycle(tours: np.ndarray) -> np.ndarray:
    """Whether each tour visits all cities in one round, (N,) bool.

    `tours` (N, k, k) is symmetric 0/1 with two ones in each row and none on the diagonal.
    """
    count, k, _ = tours.shape
    ends = np.nonzero(tours)[2].reshape(count, k, 2)
    rows = np.arange(count)
    previous, current = np.zeros(count, dtype=np.intp), ends[:, 0, 0]
    whole = np.ones(count, dtype=bool)
    for _ in range(k - 1):
        whole &= current != 0
        pair = ends[rows, current]
        onward = np.where(pair[:, 0] == previous, pair[:, 1], pair[:, 0])
        previous, current = current, onward
    return whole


def _load_distances(path: Path, count: int, k: int) -> np.ndarray:
    stored = load_array(path, shape=(count, k, k), dtype_kind="uif")
    distances = stored.astype(np.float32)
    check_rows(path, distances, np.isfinite(distances).all((1, 2)), "holds NaN or infinity")
    check_rows(path, distances, (distances >= 0).all((1, 2)), "holds a negative distance")
    slack = DISTANCE_TOLERANCE * distances.max((1, 2), initial=0.0)
    skew = np.abs(distances - distances.swapaxes(1, 2)).max((1, 2), initial=0.0)
    check_rows(path, distances, skew <= slack, "is not symmetric")
    own = np.diagonal(distances, axis1=1, axis2=2).max(1, initial=0.0)
    check_rows(path, distances, own <= slack, "puts a country at a distance from itself")
    return distances


def detect_distance_kind(lonlat: np.ndarray, splits: list[OriginalSplit]) -> str:
    """Which distances of `lonlat` (C, 2), in degrees, the stored ones equal up to one scale."""
    indices = np.concatenate([split.indices[:KIND_SAMPLE] for split in splits])
    stored = np.concatenate([split.distances[:KIND_SAMPLE] for split in splits])
    stored = stored.astype(np.float64)
    length = np.linalg.norm(stored)
    if length == 0:
        return "unknown"
    residuals = {}
    for kind, table in _distance_tables(lonlat).items():
        values = table[indices[:, :, None], indices[:, None, :]]
        scale = (values * stored).sum() / max((values**2).sum(), np.finfo(np.float64).tiny)
        residuals[kind] = np.linalg.norm(stored - scale * values) / length
    best = min(residuals, key=lambda kind: residuals[kind])
    return best if residuals[best] < KIND_TOLERANCE else "unknown"


def _distance_tables(lonlat: np.ndarray) -> dict[str, np.ndarray]:
    """Distances (C, C) of each kind, on the unit sphere or in degrees."""
    points = unit_vectors(torch.as_tensor(lonlat, dtype=torch.float64)).numpy()
    chord = np.linalg.norm(points[:, None] - points[None, :], axis=2)
    return {
        "great_circle": 2 * np.arcsin(np.clip(chord / 2, 0, 1)),
        "chord": chord,
        "planar": np.linalg.norm(lonlat[:, None] - lonlat[None, :], axis=2),
    }
