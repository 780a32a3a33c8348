"""A map of embeddings: their first two principal components, some classes in colour."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from combgrad.pictures.blank import blank
from combgrad.pictures.labels import INK
from combgrad.pictures.plots import COLOURS, MARKERS

_REST = "#c3ccd2"


def principal(embeddings: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """The first principal components (N, count) of embeddings (N, D), count <= D, and their shares.

    The shares (count,) are of the whole variance, from 0 to 1. Of the two signs that a component
    may have it takes the one in which its direction's largest entry is positive.
    """
    centred = np.asarray(embeddings, dtype=np.float64)
    centred = centred - centred.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)
    directions = directions[:, ::-1][:, :count]
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(count)])
    whole = max(variances.sum(), np.finfo(np.float64).tiny)
    return centred @ directions, np.maximum(variances[::-1][:count], 0) / whole


def draw_embedding_map(
    embeddings: np.ndarray, labels: np.ndarray, shown: Mapping[int, str]
) -> Figure:
    """Embeddings (N, D >= 2) of classes (N,): those of classes shown in colour, by their names.

    Raises ValueError where the arrays do not fit.
    """
    if embeddings.ndim != 2 or embeddings.shape[1] < 2 or labels.shape != (len(embeddings),):
        raise ValueError(
            f"embeddings {embeddings.shape} and labels {labels.shape}: pass (N, D), D >= 2, and "
            f"(N,)."
        )
    points, shares = principal(embeddings)
    figure = blank((8, 6))
    axes = figure.subplots()
    others = ~np.isin(labels, list(shown))
    if others.any():
        rest = points[others]
        axes.scatter(rest[:, 0], rest[:, 1], s=4, color=_REST, label="other classes")
    for number, (which, name) in enumerate(shown.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        # A name may begin with an underscore or hold dollars, which mean something to a legend.
        own = points[labels == which]
        label = f"\u200b{name}"
        axes.scatter(own[:, 0], own[:, 1], s=18, color=colour, marker=marker, label=label)
    axes.set_xlabel(f"first principal component, {100 * shares[0]:.0f} % of the variance")
    axes.set_ylabel(f"second, {100 * shares[1]:.0f} %")
    axes.set_aspect("equal", adjustable="datalim")
    axes.spines[["top", "right"]].set_visible(False)
    legend = figure.legend(loc="outside right upper", frameon=False, fontsize=8, labelcolor=INK)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure
