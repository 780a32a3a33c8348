"""The rows of the samplers: the same noise and the same layer by every way that is timed."""

import math
import sys
from types import ModuleType

import pytest
import torch

from benchmarks.cases import Case, Findings, function, measure
from benchmarks.order_cases import K, scores
from benchmarks.sampler_cases import (
    LAM,
    TAU,
    TERMS,
    gamma_noise,
    our_identity,
    our_imle,
    sampler_plans,
    table_noise,
    their_imle,
    torch_identity,
)
from benchmarks.timing import Effort

ONCE = Effort(rounds=1, seconds=0.0)
PARTS = ("imle", "imle.noise", "imle.target", "imle.wrapper")


@pytest.fixture
def without_torch_imle(monkeypatch):
    for name in PARTS[1:]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "imle", None)


@pytest.fixture
def stand_in(monkeypatch):
    """What was asked of a package with the names of torch-imle."""
    asked = {}

    class SumOfGammaNoiseDistribution:
        def __init__(self, k, nb_iterations):
            asked["noise"] = (k, nb_iterations)

        def sample(self, shape):
            return torch.full(shape, 0.5)

    class TargetDistribution:
        def __init__(self, alpha, beta):
            asked["target"] = (alpha, beta)

    def imle(solver, **options):
        asked.update(options)
        return lambda logits: solver(logits.detach()) + logits - logits.detach()

    modules = dict(zip(PARTS, map(ModuleType, PARTS), strict=True))
    modules["imle.noise"].SumOfGammaNoiseDistribution = SumOfGammaNoiseDistribution
    modules["imle.target"].TargetDistribution = TargetDistribution
    modules["imle.wrapper"].imle = imle
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return asked


def measured(titles):
    """The findings of the plans with these titles, and their cases."""
    findings, cases = Findings(), []
    for plan in sampler_plans(2):
        if plan.title in titles:
            cases.append(plan.build())
            measure(cases[-1], ONCE, findings)
    assert len(cases) == len(titles)
    return findings, cases


@pytest.mark.parametrize("draw", [gamma_noise, table_noise])
def test_all_draw_the_noise_of_the_notebook(draw):
    torch.manual_seed(0)
    noise = draw(torch.zeros(2000, 20))
    steps = torch.arange(1, TERMS + 1, dtype=torch.float64) / K  # of the Gamma variables' scales
    mean = TAU / K * (float(steps.sum()) / K - math.log(TERMS))
    deviation = TAU / K * math.sqrt(float(steps.square().sum()) / K)
    assert noise.dtype == torch.float32
    assert float(noise.mean()) == pytest.approx(mean, abs=5 * deviation / 200)
    assert float(noise.std()) == pytest.approx(deviation, rel=0.05)


def test_the_layer_in_plain_torch_is_ours():
    logits, upstream = scores(50, 20), scores(51, 20)[1:]
    found = []
    for layer in (lambda x: torch_identity(x, table_noise), our_identity()):
        torch.manual_seed(0)
        given = logits.clone().requires_grad_()
        solution = layer(given)
        solution.backward(upstream)
        found.append((solution.detach(), given.grad))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])
    assert float(found[0][1].abs().sum()) > 0


@pytest.mark.parametrize("make", [lambda: torch_identity, our_identity, our_imle])
def test_every_layer_samples_k_of_n_and_passes_a_gradient(make):
    logits = scores(40, 350).requires_grad_()
    layer = make()
    solution = layer(logits)
    assert torch.equal(solution.detach().unique(), torch.tensor([0.0, 1.0]))
    assert torch.equal(solution.detach().sum(1), torch.full((40,), float(K)))
    assert not torch.equal(solution, layer(logits))
    solution.backward(scores(41, 350)[1:])
    assert float(logits.grad.abs().sum()) > 0


def test_torch_imle_is_asked_for_the_same(stand_in):
    logits = scores(5, 20)
    largest = torch.zeros_like(logits).scatter_(1, logits.topk(K).indices, 1.0)
    torch.testing.assert_close(their_imle()(logits), largest)
    assert stand_in["noise"] == (K, TERMS)
    assert stand_in["target"] == (1.0, LAM)
    assert stand_in["input_noise_temperature"] == stand_in["target_noise_temperature"] == TAU


def test_rows_stand_beside_torch_imle(stand_in):
    findings, cases = measured(
        {"sampler noise", "sampler layer identity 350", "sampler layer imle 20"}
    )
    assert findings.notes == []
    assert [(row.what, row.size, row.batch, row.impl) for row in findings.rows] == [
        ("sampler noise", 20, 2000, "torch Gamma"),
        ("sampler noise", 20, 2000, "torch-imle"),
        ("sampler noise", 20, 2000, "combgrad"),
        ("sampler layer identity", 350, 40, "torch Gamma"),
        ("sampler layer identity", 350, 40, "torch-imle I-MLE"),
        ("sampler layer identity", 350, 40, "combgrad"),
        ("sampler layer imle", 20, 2000, "torch-imle"),
        ("sampler layer imle", 20, 2000, "combgrad"),
    ]
    assert all(row.exact is None for row in findings.rows)
    their_noise = cases[0].implementations[1].prepare(cases[0].costs)()
    assert torch.equal(their_noise, torch.full((2000, 20), 0.5 * TAU))


@pytest.mark.usefixtures("without_torch_imle")
def test_without_torch_imle_its_rows_are_notes():
    findings, _ = measured({"sampler noise", "sampler layer imle 20"})
    assert [row.impl for row in findings.rows] == ["torch Gamma", "combgrad", "combgrad"]
    assert [row.ratio_to_reference is None for row in findings.rows] == [False, False, True]
    assert len(findings.notes) == 2
    assert all("no torch-imle (" in note for note in findings.notes)


def test_what_is_random_is_not_compared():
    costs, right, other = torch.ones(1, 2), torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    both = (function("a", lambda _: right), function("b", lambda _: other))
    found = []
    for random in (False, True):
        findings = Findings()
        measure(Case("fake", 2, costs, both, random=random), ONCE, findings)
        found.append([row.exact for row in findings.rows])
        assert all(row.ratio_to_reference is not None for row in findings.rows)
    assert found == [[True, False], [None, None]]
