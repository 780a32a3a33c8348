"""The countries: the embedded facts, the checks of the data class, and files of pictures."""

import os
from pathlib import Path

import numpy as np
import pytest

from combgrad.data.files.npy import DataFileError
from combgrad.data.globe.countries import Countries, pictures, regenerated, resize_by_area

EARTH_RADIUS_KM = 6371.0


def location(code: str) -> np.ndarray:
    """Return the (lon, lat) of a capital in degrees."""
    embedded = regenerated()
    return embedded.lonlat[embedded.iso2.index(code)]


def great_circle_km(first: np.ndarray, second: np.ndarray) -> float:
    """Return the distance of two (lon, lat) points in km, by the haversine formula."""
    lon, lat = np.radians(np.stack([first, second])).T
    chord = np.sin(np.diff(lat) / 2) ** 2 + np.prod(np.cos(lat)) * np.sin(np.diff(lon) / 2) ** 2
    return float(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(chord[0])))


def picture_arrays(codes: list[str]) -> dict[str, np.ndarray]:
    """Return the arrays of a file of flag pictures, each flag of one grey level."""
    count = len(codes)
    levels = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return {
        "flags_64x48": np.broadcast_to(levels, (count, 48, 64, 3)).copy(),
        "iso2": np.array(codes),
        "country": np.array([f"country {code}" for code in codes]),
        "capital": np.array([f"capital {code}" for code in codes]),
        "lonlat": np.stack([np.linspace(-170, 170, count), np.linspace(-80, 80, count)], axis=1),
        "capital_pop_max": np.arange(count),
    }


def extra_codes(count: int) -> list[str]:
    """Return country codes that the embedded list does not have."""
    return [f"{number // 10}{number % 10}" for number in range(count)]


def saved(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write the arrays as an npz and return its path."""
    np.savez(path, **arrays)
    return path


def test_a_hundred_distinct_countries():
    embedded = regenerated()
    for names in (embedded.names, embedded.capitals, embedded.iso2):
        assert len(set(names)) == len(names) == 100
    assert embedded.lonlat.shape == (100, 2)
    assert embedded.flags.shape == (100, 20, 40, 3)
    assert embedded.flags.dtype == np.uint8


def test_embedded_countries_are_cached_and_read_only():
    assert regenerated() is regenerated()
    with pytest.raises(ValueError, match="read-only"):
        regenerated().flags[0, 0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        regenerated().lonlat[0, 0] = 1


@pytest.mark.parametrize(
    ("code", "capital", "lon", "lat"),
    [
        ("gb", "London", -0.1, 51.5),
        ("jp", "Tokyo", 139.7, 35.7),
        ("us", "Washington, D.C.", -77.0, 38.9),
        ("br", "Brasilia", -47.9, -15.8),
        ("ke", "Nairobi", 36.8, -1.3),
        ("au", "Canberra", 149.1, -35.3),
        ("is", "Reykjavik", -21.9, 64.1),
        ("to", "Nukualofa", -175.2, -21.1),
    ],
)
def test_known_capitals(code, capital, lon, lat):
    embedded = regenerated()
    assert embedded.capitals[embedded.iso2.index(code)] == capital
    np.testing.assert_allclose(location(code), [lon, lat], atol=0.1)


@pytest.mark.parametrize(
    ("first", "second", "km"), [("fr", "de", 878), ("gb", "us", 5900), ("au", "ar", 11800)]
)
def test_known_great_circle_distances(first, second, km):
    assert great_circle_km(location(first), location(second)) == pytest.approx(km, rel=0.01)


def test_capitals_spread_over_the_globe():
    lon, lat = regenerated().lonlat.T
    octants = {(int(x // 90), int(y // 90)) for x, y in zip(lon, lat, strict=True)}
    assert len(octants) == 8
    closest = min(
        great_circle_km(first, second)
        for row, first in enumerate(regenerated().lonlat)
        for second in regenerated().lonlat[:row]
    )
    assert closest > 50


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("names", ("a",), "names: 1 for 2 iso2 codes"),
        ("capitals", ("a", "b", "c"), "capitals: 3 for 2 iso2 codes"),
        ("iso2", ("aa", "aa"), "iso2: repeated codes aa"),
        ("lonlat", np.zeros((2, 3)), r"lonlat: expected float64 of shape \(2, 2\)"),
        ("lonlat", np.zeros((2, 2), np.float32), "lonlat: expected float64.*got float32"),
        ("lonlat", np.array([[0, 0], [0, np.nan]]), "lonlat: .*'bb'"),
        ("lonlat", np.array([[181.0, 0], [0, 0]]), "lonlat: .*'aa'"),
        ("flags", np.zeros((2, 20, 40, 3)), "flags: expected uint8.*got float64"),
        ("flags", np.zeros((2, 40, 20, 3), np.uint8), "flags: .*20, 40, 3"),
    ],
)
def test_countries_are_validated(field, value, message):
    fields = {
        "names": ("A", "B"),
        "capitals": ("a", "b"),
        "iso2": ("aa", "bb"),
        "lonlat": np.zeros((2, 2)),
        "flags": np.zeros((2, 20, 40, 3), np.uint8),
    }
    Countries(**fields)
    with pytest.raises(ValueError, match=message):
        Countries(**(fields | {field: value}))


def test_pictures_take_the_embedded_list_first(tmp_path):
    codes = extra_codes(30) + [code.upper() for code in regenerated().iso2[10:][::-1]]
    chosen = pictures(saved(tmp_path / "flags.npz", picture_arrays(codes)))
    assert chosen.iso2 == regenerated().iso2[10:] + tuple(extra_codes(10))
    for row in (0, 95):
        source = [code.lower() for code in codes].index(chosen.iso2[row])
        assert (chosen.flags[row] == source).all()
        assert chosen.names[row] == f"country {codes[source]}"
        assert chosen.lonlat[row, 0] == np.linspace(-170, 170, len(codes))[source]
    assert not chosen.flags.flags.writeable


def test_pictures_without_coordinates_are_passed_over(tmp_path):
    arrays = picture_arrays(list(regenerated().iso2) + extra_codes(1))
    arrays["lonlat"][3] = np.nan
    chosen = pictures(saved(tmp_path / "flags.npz", arrays))
    assert chosen.iso2 == regenerated().iso2[:3] + regenerated().iso2[4:] + ("00",)


def test_too_few_pictures(tmp_path):
    path = saved(tmp_path / "flags.npz", picture_arrays(list(regenerated().iso2[1:])))
    with pytest.raises(DataFileError, match=r"flags.npz: 99 usable.*100 needed.*lacks gb\."):
        pictures(path)


def test_missing_file_of_pictures(tmp_path):
    with pytest.raises(DataFileError, match=r"flags.npz: no such file.*embedded"):
        pictures(tmp_path / "flags.npz")


def test_unreadable_files_of_pictures(tmp_path):
    path = saved(tmp_path / "flags.npz", picture_arrays(list(regenerated().iso2)))
    whole = path.read_bytes()
    broken = {
        "short.npz": whole[: len(whole) // 2],
        "empty.npz": b"",
        "text.npz": b"not an archive",
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
    np.save(tmp_path / "single.npy", np.zeros(3))
    damaged = bytearray(whole)
    damaged[2000:2100] = bytes(100 * [7])
    (tmp_path / "damaged.npz").write_bytes(damaged)
    for name in (*broken, "single.npy", "damaged.npz"):
        with pytest.raises(DataFileError, match=f"{name}: cannot be read as an npz.*Restore"):
            pictures(tmp_path / name)


@pytest.mark.parametrize("key", ["flags_64x48", "iso2", "country", "capital", "lonlat"])
def test_wrong_pictures_name_the_key(tmp_path, key):
    arrays = picture_arrays(list(regenerated().iso2))
    absent = {name: array for name, array in arrays.items() if name != key}
    with pytest.raises(DataFileError, match=f"absent.npz: lacks .*{key}.*Restore"):
        pictures(saved(tmp_path / "absent.npz", absent))
    shape = saved(tmp_path / "shape.npz", arrays | {key: arrays[key][:, None]})
    with pytest.raises(DataFileError, match=f"shape.npz: key '{key}' should be.*Restore"):
        pictures(shape)
    dtype = saved(tmp_path / "dtype.npz", arrays | {key: np.zeros(arrays[key].shape, np.int16)})
    with pytest.raises(DataFileError, match=f"dtype.npz: key '{key}' should be.*int16"):
        pictures(dtype)


def test_pickled_arrays_are_refused(tmp_path):
    arrays = picture_arrays(list(regenerated().iso2))
    arrays["country"] = arrays["country"].astype(object)
    with pytest.raises(DataFileError, match="cannot be read as an npz"):
        pictures(saved(tmp_path / "flags.npz", arrays))


def test_pictures_that_unpack_to_too_much_are_refused(tmp_path):
    arrays = picture_arrays(list(regenerated().iso2))
    np.savez_compressed(tmp_path / "bomb.npz", **arrays, more=np.zeros(10**8 + 1, np.uint8))
    with pytest.raises(
        DataFileError, match=r"bomb\.npz: cannot be read as an npz .*bytes unpacked"
    ):
        pictures(tmp_path / "bomb.npz")


def test_pictures_whose_header_promises_too_much_are_refused(tmp_path):
    arrays = picture_arrays(list(regenerated().iso2))
    path = saved(tmp_path / "huge.npz", arrays)
    content = path.read_bytes().replace(b"'shape': (100,), }   ", b"'shape': (10**9,), } ")
    content = content.replace(b"(100, 2), }            ", b"(10000000000000, 2), } ")
    path.write_bytes(content)
    with pytest.raises(DataFileError, match=r"huge\.npz: cannot be read as an npz"):
        pictures(path)


def test_resize_averages_areas():
    image = np.array([[0, 30, 90], [60, 90, 150]], dtype=np.uint8)[None, :, :, None]
    assert resize_by_area(image, 1, 1).item() == 70
    assert resize_by_area(image, 1, 2).ravel().tolist() == [40, 100]
    np.testing.assert_array_equal(resize_by_area(image, 2, 3), image)
    np.testing.assert_array_equal(
        resize_by_area(image, 4, 6), image.repeat(2, axis=1).repeat(2, axis=2)
    )


@pytest.mark.real_data
def test_coordinates_agree_with_the_real_file():
    path = Path(os.environ.get("COMBGRAD_DATA", "")) / "flags" / "flags_capitals.npz"
    if not path.is_file():
        pytest.skip("COMBGRAD_DATA names no folder with flags/flags_capitals.npz")
    real = pictures(path)
    assert real.iso2 == regenerated().iso2
    np.testing.assert_allclose(regenerated().lonlat, real.lonlat, atol=0.5)
