"""Figure 8a: what Identity and Blackbox make of the recall loss of one query, computed anew."""

import numpy as np
import torch
from matplotlib.figure import Figure

from combgrad.gradients import Blackbox, GradientMethod, Identity
from combgrad.labels import Labels
from combgrad.layer import CombinatorialLayer
from combgrad.losses import Recall
from combgrad.pictures.score_gradients import draw_score_gradients
from combgrad.projections import Projection, Std
from combgrad.solvers import Ranking

#: The scores of a query's candidates, and which of them are relevant.
SCORES = (0.92, 0.81, 0.78, 0.66, 0.61, 0.52, 0.47, 0.38, 0.27, 0.18, 0.11, 0.02)
RELEVANT = (0, 3, 6)

#: Of Blackbox, in units of ranks divided by their number (A-23).
LAM = 0.5


def steps() -> dict[str, np.ndarray]:
    """By the name of each method, -dL/dw (n,) of the recall loss L of the scores w."""
    methods: dict[str, tuple[GradientMethod, Projection | None]] = {
        "Identity, no projection": (Identity(), None),
        "Identity with std": (Identity(), Std()),
        f"Blackbox, λ = {LAM:g}": (Blackbox(LAM), None),
    }
    relevant = torch.zeros(1, len(SCORES))
    relevant[0, list(RELEVANT)] = 1
    found = {}
    for name, (gradient, projection) in methods.items():
        scores = torch.tensor([SCORES], requires_grad=True)
        layer = CombinatorialLayer(Ranking(normalised=True), gradient, projection)
        Recall()(layer, scores, Labels(relevant)).loss.backward()
        assert scores.grad is not None
        found[name] = -scores.grad[0].numpy()
    return found


def draw_8a() -> Figure:
    """The scores and what each method would do to them."""
    marked = np.isin(np.arange(len(SCORES)), RELEVANT)
    return draw_score_gradients(np.array(SCORES), marked, steps())
