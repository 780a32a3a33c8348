"""The drawn flags: what they show, how far apart they are, and how the language fails."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from combgrad.data.globe import countries as countries_module
from combgrad.data.globe.countries import parse_descriptions, pictures, regenerated
from combgrad.data.globe.flag_drawing import COLOURS, SHAPES, draw_flag

WHITE = (255, 255, 255)
MINIMUM_DISTANCE = 0.12


def hue(pixel: np.ndarray) -> str:
    """Name the flag colour nearest to an RGB pixel."""
    anchors = {
        "white": WHITE,
        "black": (0, 0, 0),
        "red": (215, 20, 40),
        "gold": (252, 209, 22),
        "orange": (255, 136, 50),
        "green": (0, 135, 70),
        "blue": (0, 60, 160),
        "sky": (110, 180, 230),
    }
    return min(anchors, key=lambda name: float(np.square(pixel - np.array(anchors[name])).sum()))


def flag(code: str) -> np.ndarray:
    """Return the embedded flag of a country as (20, 40, 3) floats."""
    embedded = regenerated()
    return embedded.flags[embedded.iso2.index(code)].astype(float)


def rms_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the (A, B) root mean square pixel distances of two sets of flags, in [0, 1]."""
    a, b = first.reshape(len(first), -1) / 255.0, second.reshape(len(second), -1) / 255.0
    return np.stack([np.sqrt(np.square(row - b).mean(axis=1)) for row in a])


def test_every_pair_of_flags_is_clearly_apart():
    embedded = regenerated()
    distances = rms_distances(embedded.flags, embedded.flags)
    distances[np.diag_indices_from(distances)] = np.inf
    i, j = np.unravel_index(distances.argmin(), distances.shape)
    assert distances.min() >= MINIMUM_DISTANCE, (embedded.iso2[i], embedded.iso2[j])


@pytest.mark.parametrize(
    ("code", "hues"),
    [
        ("fr", ["blue", "white", "red"]),
        ("it", ["green", "white", "red"]),
        ("ie", ["green", "white", "orange"]),
        ("be", ["black", "gold", "red"]),
        ("ng", ["green", "white", "green"]),
        ("pe", ["red", "white", "red"]),
    ],
)
def test_columns_of_tricolours(code, hues):
    assert [hue(flag(code)[10, x]) for x in (6, 20, 34)] == hues
    assert np.ptp(flag(code), axis=0).max() == 0


@pytest.mark.parametrize(
    ("code", "hues"),
    [
        ("de", ["black", "red", "gold"]),
        ("nl", ["red", "white", "blue"]),
        ("ru", ["white", "blue", "red"]),
        ("at", ["red", "white", "red"]),
        ("ee", ["blue", "black", "white"]),
        ("ga", ["green", "gold", "blue"]),
        ("ar", ["sky", "white", "sky"]),
    ],
)
def test_rows_of_tricolours(code, hues):
    assert [hue(flag(code)[y, 2]) for y in (3, 10, 17)] == hues


def test_well_known_emblems():
    japan = flag("jp")
    assert hue(japan[10, 20]) == "red"
    assert all(tuple(japan[y, x]) == WHITE for y in (0, 19) for x in (0, 39))
    assert hue(flag("ch")[10, 20]) == "white"
    assert hue(flag("ch")[2, 2]) == "red"
    assert hue(flag("se")[10, 30]) == "gold"
    assert hue(flag("se")[2, 30]) == "blue"
    assert hue(flag("gb")[10, 20]) == "red"
    assert hue(flag("cz")[10, 5]) == "blue"
    assert hue(flag("la")[10, 20]) == "white"
    assert hue(flag("bs")[10, 5]) == "black"
    assert hue(flag("us")[0, 30]) == "red"
    assert hue(flag("us")[19, 5]) == "red"


def test_mirror_symmetric_flags():
    for code in ("jp", "ca", "ch", "jm", "al", "at", "ke"):
        # A sample on an outline counts on one side only, 1/64 of a pixel each.
        np.testing.assert_allclose(flag(code), flag(code)[:, ::-1], atol=3 * 255 / 64)


def test_edges_are_anti_aliased():
    edge = draw_flag("field black; field white in 0 0 102.5 100")[:, 20]
    assert set(edge.ravel().tolist()) == {128}


def test_every_shape_paints_its_colour():
    examples = {
        "disc": "100 50 30",
        "ring": "100 50 30 20",
        "crescent": "100 50 40 140 50 30",
        "polygon": "60 10 140 10 100 90",
        "mirror": "100 100 10 60 90",
        "burst": "100 50 40 20 7 30",
        "stars": "45 50 50 150 50",
        "bar": "20 20 180 80 20",
        "cross": "100 50 20",
        "saltire": "20 0 0 200 100",
    }
    assert examples.keys() == SHAPES.keys()
    for name, numbers in examples.items():
        painted = (draw_flag(f"field white; {name} black {numbers}") == 0).all(axis=2).mean()
        assert 0.05 < painted < 0.6, name


def test_a_box_cuts_figures():
    half = draw_flag("field white; disc black 100 50 30 in 0 0 100 100")
    assert (half[:, 20:] == 255).all()
    assert (half[:, :20] == 0).any()


def test_a_disc_has_its_area():
    covered = 1 - draw_flag("field white; disc black 100 50 30").mean() / 255
    assert covered == pytest.approx(np.pi * 0.3**2 / 2, rel=0.01)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("field white; dsc red 100 50 30", "unknown shape 'dsc'.*disc.*saltire"),
        ("field pinkish", "unknown colour 'pinkish'.*white.*turquoise"),
        ("rows red wite", "unknown colour 'wite'"),
        ("disc red 100 50", "'disc red 100 50' needs the numbers 'x y radius', got 2"),
        ("stars gold 5 10", "needs the numbers 'radius x y ...'"),
        ("disc red 100 x 30", "'x' is not a number"),
        ("disc red 100 nan 30", "'nan' is out of range"),
        ("disc red 100 50 -3", "negative radius"),
        ("burst red 100 50 30 10 2.5 0", "whole number of points"),
        ("field red in 0 0 10", "x0 y0 x1 y1"),
        ("field red blue", "takes one colour, got 2"),
        ("rows", "takes at least one colour"),
        ("disc", "names no colour"),
        ("rows red*0 blue", "must be positive"),
        ("field red;", "an instruction is empty"),
        ("", "an instruction is empty"),
    ],
)
def test_bad_descriptions_say_what_is_wrong(description, message):
    with pytest.raises(ValueError, match=message) as caught:
        draw_flag(description)
    assert repr(description) in str(caught.value)


def test_a_bad_embedded_description_names_its_country(monkeypatch):
    def with_bad_japan(text: str) -> dict[str, str]:
        return parse_descriptions(text) | {"jp": "field octarine"}

    monkeypatch.setattr(countries_module, "parse_descriptions", with_bad_japan)
    with pytest.raises(ValueError, match=r"country 'jp'.*octarine"):
        regenerated.__wrapped__()


def test_description_files_continue_on_indented_lines():
    text = "# comment\n\naa: field red;\n    disc white 100 50 30\nbb : rows red white\n"
    assert parse_descriptions(text) == {
        "aa": "field red; disc white 100 50 30",
        "bb": "rows red white",
    }


@pytest.mark.parametrize("text", ["aa: field red\naa: field blue", "no colon here", "  indented"])
def test_bad_description_files_name_the_line(text):
    with pytest.raises(ValueError, match=r"line [12]: expected 'iso2: description'"):
        parse_descriptions(text)


def test_colours_are_distinct():
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_drawing_is_byte_identical():
    description = "rows navy gold; burst red 61.7 48.3 40 17.9 13 7.7; bar white 3 9 187 77 9.1"
    digest = hashlib.sha256(draw_flag(description).tobytes()).hexdigest()
    assert digest[:16] == "0a45d908dbd071e5"


def test_contact_sheet_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    from combgrad.pictures import save_figure
    from combgrad.pictures.flag_sheet import draw_flag_sheet

    data = regenerated()
    save_figure(draw_flag_sheet(data.flags, data.names), tmp_path / "new" / "sheet.png")
    assert (tmp_path / "new" / "sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.real_data
def test_drawn_flags_are_nearest_to_the_real_ones():
    path = Path(os.environ.get("COMBGRAD_DATA", "")) / "flags" / "flags_capitals.npz"
    if not path.is_file():
        pytest.skip("COMBGRAD_DATA names no folder with flags/flags_capitals.npz")
    drawn, real = regenerated(), pictures(path)
    assert drawn.iso2 == real.iso2
    nearest = rms_distances(drawn.flags, real.flags).argmin(axis=1)
    # 0.99 was reached; the miss is Bosnia, whose icon is cut for a 4:3 sheet.
    assert (nearest == np.arange(len(nearest))).mean() >= 0.97
