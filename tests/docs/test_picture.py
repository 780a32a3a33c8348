"""docs/picture/costs.html: its numbers are the library's, and it does what it says in a browser."""

import itertools
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch

from browser import PROGRAM, Browser
from combgrad import CombinatorialLayer
from combgrad.errors import IncompatibleError
from combgrad.gradients import IMLE, Blackbox, Identity, Perturbed
from combgrad.projections import Mean, Norm, Std
from combgrad.runs.configuration import CONFIG_FOLDER
from combgrad.solvers import TSP, Ranking, TopK, Trait, from_function

PAGE = CONFIG_FOLDER.parent / "docs" / "picture" / "costs.html"
CORNERS = [[1, 0.1], [0.5, 0.9], [-0.4, 0.8], [-1, 0.1], [-0.3, -0.9], [0.7, -0.7]]
#: Problem of the page -> solver, and how many costs.
SOLVERS = {
    "polygon": (
        from_function(
            lambda w: np.array(min(CORNERS, key=lambda y: np.dot(w, y))), {Trait.SCALE_INVARIANT}
        ),
        2,
    ),
    "topk": (TopK(2), 3),
    "ranking": (Ranking(), 3),
    "tour": (TSP(), 10),
}
PROJECTIONS = {"none": None, "mean": Mean(), "norm": Norm(), "std": Std()}
SETTINGS = {"lam": 0.7, "sigma": 0.4}
SAMPLES = 16


class FixedNoise:
    """sigma z for given z (samples, n)."""

    def __init__(self, z):
        self.z = z

    def sample(self, shape, dtype, device):
        return (SETTINGS["sigma"] * self.z[:, None]).expand(shape)


def cases():
    """A few points of every problem, method and projection, with dL/dy and noises of their own."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    for name, (_, n) in SOLVERS.items():
        for method, projection in itertools.product(
            ("identity", "blackbox", "perturbed", "imle"), PROJECTIONS
        ):
            seed = len(name) + len(method)
            z = torch.randn(
                (SAMPLES, 1, n),
                generator=torch.Generator().manual_seed(seed),
                dtype=torch.float64,
            )
            for _ in range(3):
                yield {
                    "problem": name, "method": method, "projection": projection, "seed": seed,
                    "w": draw(n).tolist(), "g": draw(n).tolist(), "z": z[:, 0].tolist(),
                }  # fmt: skip


CASES = list(cases())


def ours(case):
    """y(w) and dL/dw by combgrad; None where it refuses the projection."""
    z = torch.tensor(case["z"], dtype=torch.float64)
    generator = torch.Generator().manual_seed(case["seed"])
    method = {
        "identity": Identity(),
        "blackbox": Blackbox(SETTINGS["lam"]),
        "perturbed": Perturbed(SETTINGS["sigma"], SAMPLES, generator=generator),
        "imle": IMLE(SETTINGS["lam"], FixedNoise(z), SAMPLES),
    }[case["method"]]
    solver = SOLVERS[case["problem"]][0]
    try:
        layer = CombinatorialLayer(solver, method, PROJECTIONS[case["projection"]])
    except IncompatibleError:
        return None
    w = torch.tensor([case["w"]], dtype=torch.float64, requires_grad=True)
    layer(w).backward(torch.tensor([case["g"]], dtype=torch.float64))
    return solver(w.detach())[0].tolist(), w.grad[0].tolist()


#: What the page computes for such cases.
THEIRS = """
(() => JSON.stringify(%s.map((it) => {
  const { solutions, allowed } = PROBLEMS[it.problem];
  if (!allowed.includes(it.projection)) return null;
  const settings = { ...%s, z: it.z };
  return [solve(solutions, it.w),
    gradient(solutions, it.w, it.g, it.method, it.projection, settings)];
})))()
"""
QUESTION = THEIRS % (json.dumps(CASES), json.dumps(SETTINGS))


def compare(answers):
    assert len(answers) == len(CASES) == 192
    wanted = [ours(case) for case in CASES]
    # Mean and Std on the polygon, refused by both.
    assert [answer is None for answer in answers] == [found is None for found in wanted]
    assert wanted.count(None) == 24
    pairs = [(a, b) for a, b in zip(answers, wanted, strict=True) if b is not None]
    for (solution, slope), (our_solution, our_slope) in pairs:
        assert solution == our_solution
        np.testing.assert_allclose(slope, our_slope, rtol=1e-9, atol=1e-12)
    moved = [any(slope) for _, (_, slope) in pairs]
    assert np.mean(moved) > 0.7


def script():
    return re.search(
        r'<script id="methods">(.*?)</script>', PAGE.read_text(encoding="utf-8"), re.DOTALL
    ).group(1)


def test_the_page_loads_nothing_from_anywhere():
    text = PAGE.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    addresses = set(re.findall(r"\b\w+://[^\s\"']*", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, which nothing asks for
    assert not re.search(r"<(link|img|iframe)\b|\bsrc=|@import|\burl\(|\bimport\b", text)


@pytest.mark.skipif(not shutil.which("node"), reason="no node here")
def test_its_numbers_are_the_librarys_by_node():
    done = subprocess.run(
        ["node", "-"],
        input=f"{script()}\nconsole.log({QUESTION.strip()});",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    compare(json.loads(done.stdout))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not PROGRAM:
        pytest.skip("no Chromium or Chrome here; on Debian: apt-get install chromium")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser):
    browser.events.clear()
    browser.resize(1100, 900)
    browser.open(PAGE)
    yield browser
    assert browser.complaints() == []
    assert browser.requests() == [PAGE.as_uri()]


def rows(page):
    """What stands in the table, with a hyphen for each minus sign."""
    return page.ask(
        "[...document.querySelectorAll('#rows tr')].map(tr => [...tr.cells].map(td => "
        "td.textContent.replaceAll('\\u2212', '-')))"
    )


def state(page):
    return page.ask("document.querySelector('#state').textContent.replaceAll('\\u2212', '-')")


def drag(page, selector, dx, dy):
    x, y = page.ask(
        f"(() => {{ const box = document.querySelector({json.dumps(selector)})"
        ".getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
    )
    for kind, at in (
        ("mousePressed", (x, y)),
        ("mouseMoved", (x + dx, y + dy)),
        ("mouseReleased", (x + dx, y + dy)),
    ):
        page.call(
            "Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left", buttons=1,
            clickCount=1,
        )  # fmt: skip


def test_its_numbers_are_the_librarys_in_the_browser(page):
    compare(json.loads(page.ask(QUESTION)))


def test_dragging_the_costs_changes_the_solution_and_the_steps(page):
    before = rows(page)
    assert "y = (-1.00, 0.10)" in state(page)
    assert [row[0] for row in before] == [
        "Identity", "Identity, mean", "Identity, norm", "Identity, std", "Blackbox", "Perturbed",
        "I-MLE",
    ]  # fmt: skip
    assert [i for i, row in enumerate(before) if row[1].startswith("refused")] == [1, 3]
    assert before[0][1] == "(1.50, 0.80)"
    drag(page, "[data-focus=h0]", -150, 60)
    assert "y = (0.50, 0.90)" in state(page)
    assert rows(page)[0][1] == "(0, 0)"
    assert rows(page)[0][2] == "B: right already"


def test_keys_move_the_costs_and_choose_the_solution(page):
    page.ask("document.querySelector('[data-focus=h0]').focus()")
    page.press("ArrowDown", 40)
    assert "w = (1.25, -0.23)" in state(page)
    page.press("ArrowLeft", 37)
    assert "w = (1.17, -0.23)" in state(page)
    page.ask("document.querySelector('[data-focus=v4]').focus()")
    page.press("Enter", 13, "\r")
    assert rows(page)[0][1] == "(0.70, -1.00)"


def test_a_projection_and_lambda_change_blackbox_alone_of_those_without_noise(page):
    page.click("[data-problem=ranking]")
    before = rows(page)
    page.ask(
        "(() => { const it = document.querySelector('#lam'); it.value = 0.6;"
        "it.dispatchEvent(new Event('input')); })()"
    )
    after = rows(page)
    assert [a == b for a, b in zip(before, after, strict=True)] == [True] * 4 + [False, True, False]


def test_moving_a_city_home_makes_the_tour_right(page):
    page.click("[data-problem=tour]")
    assert not any(row[2] == "right already" for row in rows(page))
    wide = page.ask("document.querySelector('#left').getBoundingClientRect().width")
    drag(page, "[data-focus=h2]", 58 / 200 * wide, 74 / 200 * wide)
    assert all(row[2] == "right already" for row in rows(page))


@pytest.mark.parametrize("problem", SOLVERS)
def test_it_fits_on_a_phone(page, problem):
    page.resize(390, 844)
    page.click(f"[data-problem={problem}]")
    assert page.ask("document.documentElement.scrollWidth") <= 390
