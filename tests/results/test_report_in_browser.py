"""The report as a reader meets it: in a real browser, opened from disk, clicked and typed at."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from browser import PROGRAM, Browser
from combgrad.results import RunRecord
from combgrad.results.identity import signature
from combgrad.results.layout import read_layout
from combgrad.results.report import Drawing, Report, to_page
from combgrad.results.series import read_sketch
from combgrad.results.tables import make_tables

pytestmark = pytest.mark.skipif(
    not PROGRAM, reason="no Chromium or Chrome here; on Debian: apt-get install chromium"
)


POINTS = [
    {"experiment": experiment, "grad": f"method{number}"}
    for experiment in ("tsp5", "tsp10")
    for number in range(6)
]
ACCURACY = {
    "name": "test/accuracy",
    "label": "right answers",
    "unit": "%",
    "scale": 100,
    "best": "max",
}


def a_record(point, seed=0, **changes):
    name = f"{point['experiment']}-{point['grad']}-seed{seed}"
    values = {
        "name": name,
        "experiment": point["experiment"],
        "choices": {},
        "config": {"asked": dict(point), "seed": seed, "monitor": {"metric": "val/accuracy"}},
        "profile": "paper",
        "data_source": "regenerated",
        "data_fingerprint": "f",
        "seed": seed,
        "metrics": {"test/accuracy": 0.9},
        "best_epoch": 1,
        "curves": {"val/accuracy": [0.2, 0.9, 0.3]},
        "seconds": {"train": 90.0},
        "versions": {},
        "commit": "0123456789abcdef",
        "hardware": {},
        "command": f"python train.py experiment={point['experiment']} seed={seed}",
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T01:00:00+00:00",
    }
    return RunRecord(**(values | changes))


RECORDS = [
    *(a_record(point, seed) for point in POINTS for seed in range(2)),
    a_record({"experiment": "cub", "grad": "other"}, profile="smoke"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    asked = [(point, {"paper": signature(a_record(point).config)}) for point in POINTS]
    rows = {"metrics": [ACCURACY], "rows": ["{experiment}"], "columns": ["{grad}"]}
    lines = {"draw": "curves", "metrics": [ACCURACY], "series": ["{grad}"]}
    figure = read_sketch("figure4a", "A figure", "paper", 2, lines, asked[:6])
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="700" height="400"></svg>'
    text = to_page(
        Report(
            records=RECORDS,
            tables=make_tables(read_layout("table6", "A", "paper", 2, rows), asked, RECORDS, []),
            drawings=[Drawing(figure, "paper", "regenerated", svg)],
            waiting=[replace(figure, layout=replace(figure.layout, name="figure8b"))],
            page=Path("results/report/index.html"),
            made="today",
            commit="unknown",
        )
    )
    page = tmp_path_factory.mktemp("report") / "index.html"
    page.write_text(text, encoding="utf-8")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    browser.page = page
    yield browser
    browser.close()


@pytest.fixture
def page(browser):
    browser.events.clear()
    browser.resize(1280, 900)
    browser.open(browser.page)
    yield browser
    assert browser.complaints() == []


def seen(page, selector):
    """The ids, or the texts, of what a reader can scroll to."""
    return page.ask(
        f"[...document.querySelectorAll({json.dumps(selector)})].filter(it => it.checkVisibility())"
        ".map(it => it.id || it.textContent.trim())"
    )


def in_view(selector):
    return (
        f"(() => {{ const box = document.querySelector({json.dumps(selector)})"
        ".getBoundingClientRect();"
        "return box.height > 0 && box.top >= 0 && box.top < innerHeight; })()"
    )


def choose(page, name, steps):
    page.ask(f"document.querySelector('select[name={name}]').focus()")
    for _ in range(steps):
        page.press("ArrowDown", 40)


def test_the_page_opens_from_disk_and_asks_for_nothing_else(page):
    assert page.ask("document.title") == "combgrad: tables and figures from 25 runs"
    asked = [address for address in page.requests() if not address.startswith("data:")]
    assert asked == [page.page.as_uri()]
    assert page.ask("document.querySelector('figure img').naturalWidth") == 700


def test_choosing_an_experiment_hides_the_others(page):
    assert len(seen(page, ".group")) == 13
    choose(page, "experiment", 2)
    assert page.ask("document.querySelector('select').value") == "tsp5"
    page.until("document.getElementById('shown').textContent === '12 of 25 runs shown'")
    shown = page.ask(
        "[...document.querySelectorAll('.group')].filter(it => it.checkVisibility())"
        ".map(it => it.dataset.experiments)"
    )
    assert shown == ["tsp5"] * 6
    assert seen(page, "#tables section") == ["table6-paper-regenerated"]
    assert seen(page, "#figures article") == ["figure4a-paper-regenerated"]
    faded = page.ask(
        "[...document.querySelectorAll('td.cell.faded')].map(it => it.dataset.point.split(' ')[0])"
    )
    assert faded == ["experiment=tsp10"] * 6

    choose(page, "experiment", 1)
    page.until("document.getElementById('shown').textContent === '12 of 25 runs shown'")
    assert seen(page, "#tables section") == ["table6-paper-regenerated"]
    assert seen(page, "#figures article") == []
    assert seen(page, "#figures .nothing") == ["Nothing here fits the filter."]
    assert seen(page, "#not-run li") == []

    page.click("button[type=reset]")
    page.until("document.getElementById('shown').textContent === '25 of 25 runs shown'")
    assert len(seen(page, ".group")) == 13
    assert seen(page, ".nothing") == []


def test_choosing_a_profile_hides_the_others(page):
    choose(page, "profile", 2)
    page.until("document.getElementById('shown').textContent === '1 of 25 runs shown'")
    assert seen(page, "#tables section, #figures article") == []
    # What was not run is missing in every profile.
    assert len(seen(page, "#not-run li")) == 1


@pytest.mark.parametrize("width", [1280, 390])
def test_the_link_of_a_cell_leads_to_its_runs(page, width):
    page.resize(width, 800)
    cell = "#table6-paper-regenerated-1-0"
    runs = page.ask(f"document.querySelector('{cell}').dataset.runs.split(' ')")
    assert len(runs) == 2
    target = page.ask(f"document.querySelector('{cell} a').hash")
    assert not page.ask(in_view(target))
    page.click(f"{cell} a")
    page.until(in_view(target))
    shown = page.ask(f"[...document.querySelectorAll('{target} details')].map(it => it.id)")
    assert [f"{name.removeprefix('run-')}.json" for name in shown] == runs
    page.until(in_view(f"{target} summary"))
    # And from there back.
    page.click(f"{target} .places a")
    page.until(in_view(cell))


def test_a_link_to_what_is_hidden_shows_it(page):
    choose(page, "experiment", 3)
    cell = "#table6-paper-regenerated-0-0"
    target = page.ask(f"document.querySelector('{cell} a').hash")
    assert seen(page, target) == []
    page.click(f"{cell} a")
    page.until(in_view(target))
    assert page.ask("document.querySelector('select').value") == ""


def test_a_run_opens_by_keyboard_and_shows_its_curve(page):
    page.ask("document.querySelector('details.run summary').focus()")
    assert not page.ask("document.querySelector('details.run').open")
    page.press("Enter", 13, "\r")
    page.until("document.querySelector('details.run').open")
    page.ask("document.querySelector('.training svg').scrollIntoView({block: 'center'})")
    curve = page.photograph(".training svg")
    height, width, _ = curve.shape
    assert height > 100
    # It rises to the middle and falls again: a line, so that below is the same as above it.
    ground = curve[height // 10, width // 10]
    assert (curve[6 * height // 10, 45 * width // 100] == ground).all()
    line = (curve[:, width // 4] != ground).any(axis=1).nonzero()[0]
    assert abs(line.mean() - height / 2) < 4
    assert len(line) < 12


def test_the_command_is_copied(page):
    allowed = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    page.call("Browser.grantPermissions", permissions=allowed)
    page.ask("document.querySelector('details.run').open = true")
    page.click("details.run .copy")
    page.until("document.querySelector('details.run .copy').textContent === 'Copied'")
    # The first run: tsp5 before tsp10, and what a table shows before what it does not.
    command = "python train.py experiment=tsp5 seed=0"
    assert page.ask("navigator.clipboard.readText()") == command


def test_a_command_that_cannot_be_copied_is_selected(page):
    page.ask("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    page.ask("document.querySelector('details.run').open = true")
    page.click("details.run .copy")
    page.until("getSelection().toString() === 'python train.py experiment=tsp5 seed=0'")
    assert page.ask("document.querySelector('.copy').textContent") == "Selected: press Ctrl+C"


def test_a_phone_scrolls_tables_and_not_the_page(page):
    page.resize(390, 844)
    page.ask("document.querySelectorAll('details').forEach(it => it.open = true)")
    assert page.ask("document.documentElement.scrollWidth") == 390
    box = "document.querySelector('.result-table .scroll')"
    assert page.ask(f"{box}.scrollWidth > {box}.clientWidth")
    assert page.ask(f"{box}.tabIndex") == 0


SCRIPTS = (
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 1'>",
    "\"><svg onload='window.ran = 1'>",
    "javascript:window.ran = 1",
    "' autofocus onfocus='window.ran = 1' '",
    "--></style></title><iframe srcdoc='<script>parent.ran = 1</script>'>",
    "{{ 7 * 6 }}{% set ran = 1 %}",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A page of records with scripts wherever one can stand, as if reading let them through."""
    records = []
    for number, script in enumerate(SCRIPTS):
        record = a_record(POINTS[0], number, path=Path("runs") / f"{number}.json")
        texts = ("command", "commit", "started", "finished", "data_fingerprint", "name")
        evil = dict.fromkeys(("seed", "experiment", "profile", "data_source", *texts), script)
        mappings = ("metrics", "versions", "hardware", "seconds", "curves")
        evil |= {name: {script: 1.0, **getattr(record, name)} for name in mappings}
        evil["metrics"] |= {f"test/{script}": 1.0}
        evil["config"] = {**record.config, "monitor": {"metric": script}}
        evil["curves"] = {script: [0.5, 0.25]}
        for name, value in evil.items():
            object.__setattr__(record, name, value)
        object.__setattr__(record, "path", Path("runs") / f"{script.replace('/', '|')}.json")
        records.append(record)
    asked = [(POINTS[0], {record.profile: record.signature for record in records})]
    rows = {"metrics": [ACCURACY], "rows": ["{experiment}"], "columns": ["{grad}"]}
    layout = read_layout("table6", SCRIPTS[0], "paper", 2, rows)
    lines = {"draw": "curves", "metrics": [ACCURACY], "series": ["{grad}"]}
    sketch = read_sketch("figure4a", SCRIPTS[1], "paper", 2, lines, asked)
    drawings = [
        Drawing(sketch, record.profile, record.data_source, problem=record.command)
        for record in records
    ]
    page = tmp_path_factory.mktemp("hostile") / "index.html"
    report = Report(
        records, make_tables(layout, asked, records, []), drawings, [sketch], page, *SCRIPTS[:2],
        own=[records[0].key], hidden=SCRIPTS[2],
    )  # fmt: skip
    page.write_text(to_page(report), encoding="utf-8")
    return page


def test_no_script_of_a_record_runs(browser, hostile):
    browser.events.clear()
    browser.open(hostile)
    assert len(seen(browser, "details.run")) == len(SCRIPTS)
    browser.ask("document.querySelectorAll('details').forEach(it => it.open = true)")
    for element in ("a", "button", "select", "summary"):
        browser.ask(f"document.querySelectorAll({element!r}).forEach(it => {{ it.focus(); }})")
    browser.click("details.run summary")
    browser.until("document.readyState === 'complete'")
    assert browser.ask("window.ran") is None
    # What they say is there to read, as it is.
    text = browser.ask("document.body.textContent")
    assert all(text.count(script) > 5 for script in SCRIPTS)
    assert browser.ask("document.querySelectorAll('script').length") == 1
    assert browser.ask("document.querySelectorAll('iframe, body img:not([alt])').length") == 0
    asked = [address for address in browser.requests() if not address.startswith("data:")]
    assert asked == [hostile.as_uri()]
    assert browser.complaints() == []


def test_a_script_that_gets_into_the_page_is_refused_by_its_policy(browser, tmp_path):
    """Whatever were to fail in escaping, the page runs its own script and no other."""
    text = browser.page.read_text(encoding="utf-8")
    inlet = '<main>\n<script>window.ran = 1</script><img src="x" onerror="window.ran = 2">'
    page = tmp_path / "index.html"
    page.write_text(text.replace("<main>", inlet), encoding="utf-8")
    browser.events.clear()
    browser.open(page)
    assert browser.ask("document.querySelectorAll('script').length") == 2
    assert browser.ask("window.ran") is None
    assert any("Content Security Policy" in str(said) for said in browser.complaints())
    # Its own still runs.
    browser.until("document.getElementById('shown').textContent === '25 of 25 runs shown'")


CONTRAST = """
(() => {
  const light = (text) => {
    const parts = text.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255);
    const linear = parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ground = (it) => {
    for (; it; it = it.parentElement) {
      const colour = getComputedStyle(it).backgroundColor;
      if (!colour.endsWith(", 0)")) return colour;
    }
  };
  const places = ["h1", ".lead", "label", "select", "td.cell a", ".paper", ".table-facts", "dt",
    ".small", "thead th", "code", ".headline", ".places a"];
  return places.map((place) => {
    const it = document.querySelector(place);
    const [a, b] = [light(getComputedStyle(it).color), light(ground(it))];
    return [place, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  });
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast_in_both_schemes(page, scheme):
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    page.call("Emulation.setEmulatedMedia", features=media)
    ground = page.ask("getComputedStyle(document.body).backgroundColor")
    bright = sum(int(part) for part in ground.removeprefix("rgb(").rstrip(")").split(",")) / 3
    assert (bright > 128) == (scheme == "light")
    # What WCAG asks of small text at level AA.
    assert [place for place, contrast in page.ask(CONTRAST) if contrast < 4.5] == []
