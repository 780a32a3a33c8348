"""The report as a reader meets it: in a real browser, opened from disk, clicked and typed at."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from browser import PROGRAM, Browser
from combgrad.results import RunRecord
from combgrad.results.drawings import Drawing
from combgrad.results.identity import signature
from combgrad.results.layout import read_layout
from combgrad.results.paper import PaperValue
from combgrad.results.report import Report, to_page
from combgrad.results.series import read_sketch
from combgrad.results.tables import make_tables
from report_pages import ACCURACY

pytestmark = pytest.mark.skipif(
    not PROGRAM, reason="no Chromium or Chrome here; on Debian: apt-get install chromium"
)

#: The report on the records that came with the project.
COMMITTED = Path(__file__).parents[2] / "results" / "report" / "index.html"

POINTS = [
    {"experiment": experiment, "grad": f"method{number}"}
    for experiment in ("tsp5", "tsp10")
    for number in range(6)
]


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


def a_printed(point, table, mean, std, text):
    words = {key: str(value) for key, value in point.items()}
    return PaperValue(frozenset({table}), words, "test/accuracy", mean, std, text, 3, "somewhere")


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
    printed = [a_printed(point, "6", 89.0, 1.0, "89.0 ± 1.0") for point in POINTS]
    layout = read_layout("table6", "A", "paper", 2, rows)
    text = to_page(
        Report(
            records=RECORDS,
            tables=make_tables(layout, asked, RECORDS, printed),
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
    assert seen(page, "#pictures article") == ["figure4a-paper-regenerated"]
    faded = page.ask(
        "[...document.querySelectorAll('td.cell.faded')].map(it => it.dataset.point.split(' ')[0])"
    )
    assert faded == ["experiment=tsp10"] * 6

    choose(page, "experiment", 1)
    page.until("document.getElementById('shown').textContent === '12 of 25 runs shown'")
    assert seen(page, "#tables section") == ["table6-paper-regenerated"]
    assert seen(page, "#pictures article") == []
    assert seen(page, "#pictures .nothing") == ["Nothing here fits the filter."]
    page.ask("document.querySelector('#not-run details').open = true")
    assert seen(page, "#not-run li") == []

    page.click("button[type=reset]")
    page.until("document.getElementById('shown').textContent === '25 of 25 runs shown'")
    assert len(seen(page, ".group")) == 13
    assert seen(page, ".nothing") == []


def test_choosing_a_profile_hides_the_others(page):
    choose(page, "profile", 2)
    page.until("document.getElementById('shown').textContent === '1 of 25 runs shown'")
    assert seen(page, "#tables section, #pictures article, #figures article") == []
    # What was not run is missing in every profile.
    assert seen(page, "#not-run li") == []
    page.click("#not-run summary")
    page.until("document.querySelector('#not-run details').open")
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
    page.ask("document.querySelector('.run[open] svg').scrollIntoView({block: 'center'})")
    curve = page.photograph(".run[open] svg")
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


#: Of each cell with text: where its letters lie, how tall they are, and what may cut them off.
CELLS = """
[...document.querySelectorAll("td, th")].filter((it) => it.checkVisibility()).flatMap((it) => {
  const range = document.createRange();
  range.selectNodeContents(it);
  const rows = [...range.getClientRects()].filter((box) => box.width && box.height);
  if (!rows.length) return [];
  let [left, right] = [0, innerWidth];
  for (let box = it; box; box = box.parentElement) {
    const style = getComputedStyle(box);
    if (style.overflowX === "visible" || box === document.documentElement) continue;
    const edge = box.getBoundingClientRect();
    const inside = edge.left + box.clientLeft - box.scrollLeft;
    // What scrolls can bring whatever is no wider than itself into view.
    const scrolls = ["auto", "scroll"].includes(style.overflowX);
    left = inside;
    right = inside + (scrolls ? box.scrollWidth : box.clientWidth);
    if (edge.left < 0 || edge.right > innerWidth + 0.5) return [{text: it.textContent, out: true}];
    break;
  }
  const small = [...it.querySelectorAll("*"), it].filter((part) => part.innerText?.trim())
    .map((part) => parseFloat(getComputedStyle(part).fontSize));
  return [{
    text: it.textContent.trim(), number: it.matches("td"), size: Math.min(...small), out: rows.some(
      (box) => box.left < left - 0.5 || box.right > right + 0.5 || box.width > innerWidth),
  }];
})
"""


def read_on_a_phone(page):
    """The cells of all tables of the open page at 390 pixels, all parts of it open."""
    page.ask("document.querySelectorAll('details').forEach(it => it.open = true)")
    # Groups of runs out of view have no layout otherwise.
    page.ask(
        "document.querySelectorAll('.group').forEach(it => it.style.contentVisibility = 'visible')"
    )
    assert page.ask("document.documentElement.scrollWidth") <= 390
    assert page.ask("[innerWidth, visualViewport.scale]") == [390, 1]
    return page.ask(CELLS)


def a_wide_table():
    """A table of many columns and levels, with long heads and numbers, all beside printed ones."""
    points = [
        {"experiment": f"experiment_{n}", "grad": f"a method of a name {m}", "alpha": a, "proj": p}
        for n in range(2) for m in range(4) for a in (0, 0.125) for p in ("none", "standardised")
    ]  # fmt: skip
    rows = {
        "metrics": [ACCURACY | {"digits": 7, "scale": 1e7}],
        "rows": ["{experiment}", "alpha = {alpha}"],
        "columns": ["{grad}", "projection {proj}"],
    }
    records = [
        a_record(p, s, metrics={"test/accuracy": 0.5 + s / 7}) for p in points for s in (0, 1)
    ]
    asked = [(p, {"paper": signature(a_record(p).config)}) for p in points]
    printed = [a_printed(p, "9", 6e6, 1.5, "6000000.0000000 ± 1.5") for p in points[::2]]
    layout = read_layout("table9", "A wide table", "paper", 2, rows)
    return records, make_tables(layout, asked, records, printed)


def test_a_phone_shows_every_number_of_every_table(browser, tmp_path):
    records, tables = a_wide_table()
    page = tmp_path / "index.html"
    report = Report(records, tables, [], [], page, "today", "unknown")
    page.write_text(to_page(report), encoding="utf-8")
    browser.events.clear()
    browser.resize(390, 844)
    browser.open(page)
    cells = read_on_a_phone(browser)
    numbers = [cell for cell in cells if "± 714285.7142857" in cell["text"]]
    assert len(numbers) == 32
    assert sum("paper 6000000.0000000 ± 1.5" in cell["text"] for cell in numbers) == 16
    # With the overview and the metrics of the runs.
    assert sum(cell["number"] for cell in cells) > 32 + 64
    assert [cell for cell in cells if cell["out"] or cell["size"] < 11] == []
    # None of them needs a box that scrolls.
    boxes = "[...document.querySelectorAll('.result-table .scroll, .scroll:has(.overview)')]"
    assert browser.ask(f"{boxes}.every(it => it.scrollWidth <= it.clientWidth)")
    # Each is told what column it is of, as the heads are not shown.
    labels = browser.ask(
        "[...document.querySelectorAll('td.cell')]"
        ".map(it => getComputedStyle(it, '::before').content)"
    )
    assert labels[1] == '"a method of a name 0, projection standardised"'
    assert all(label.startswith('"a method of a name') for label in labels)
    assert browser.complaints() == []


@pytest.mark.skipif(not COMMITTED.is_file(), reason="the report has not been made here")
def test_a_phone_shows_every_number_of_the_committed_report(browser):
    browser.resize(390, 844)
    # It has a thousand runs.
    browser.open(COMMITTED, seconds=120)
    cells = read_on_a_phone(browser)
    assert len(cells) > 1000
    assert [cell for cell in cells if cell["out"] or cell["size"] < 11] == []


def test_the_check_of_a_phone_sees_what_cannot_be_read(browser, tmp_path):
    """A number that is cut off, one beside the page, and one too small, and one that scrolls in."""
    line = "<table><tr><td style='{}'>{}</td></tr></table>"
    wide = "<div style='width: 9em; padding-left: {}px'>{}</div>"
    box = "<div style='overflow: {}; width: 100px'>{}</div>"
    body = [
        box.format("hidden", line.format("", wide.format(90, "cut"))),
        line.format("font-size: 10px", "tiny"),
        box.format("auto", line.format("", wide.format(90, "fine"))),
    ]
    page = tmp_path / "index.html"
    head = '<!DOCTYPE html><meta name="viewport" content="width=device-width, initial-scale=1">'
    page.write_text(head + "".join(body), encoding="utf-8")
    browser.resize(390, 844)
    browser.open(page)
    seen_of = {cell["text"]: cell for cell in read_on_a_phone(browser)}
    assert {text: (cell["out"], cell["size"] < 11) for text, cell in seen_of.items()} == {
        "cut": (True, False),
        "tiny": (False, True),
        "fine": (False, False),
    }


def test_a_link_to_what_is_closed_opens_it(page):
    page.ask("document.querySelector('details.run').open = true")
    assert seen(page, "#setup-1") == []
    page.click("details.run[open] a[href='#setup-1']")
    page.until(in_view("#setup-1"))


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
  const places = ["h1", "#findings li", ".lead", "label", "select", "td.cell a", ".paper",
    ".difference", ".table-facts", "dt", ".small", "thead th", "code", ".headline",
    ".places a", ".less > summary"];
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
