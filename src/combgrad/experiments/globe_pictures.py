"""Pictures of a trained Globe TSP model: a tour it chose, and the globe it learned."""

from typing import Any

import numpy as np
import torch

from combgrad.data.globe.countries import Countries
from combgrad.pictures.globe import GlobePanel, align, draw_learned_globe, draw_tours
from combgrad.solvers.edges import city_count, edge_ends


def edge_list(tour: torch.Tensor) -> np.ndarray:
    """The pairs of cities (m, 2) on which 0/1 edge values (E,) are 1."""
    chosen = tour.cpu().numpy() > 0.5
    return np.stack(edge_ends(city_count(len(tour))), axis=1)[chosen]


def best_seen(points: np.ndarray, instances: torch.Tensor, candidates: torch.Tensor) -> int:
    """The candidate instance whose cities lie closest together on the globe."""
    spread = [np.linalg.norm(points[cities].mean(axis=0)) for cities in instances[candidates]]
    return int(candidates[int(np.argmax(spread))])


def draw(
    countries: Countries,
    true_points: np.ndarray,
    learned_points: np.ndarray,
    instance: torch.Tensor,
    target: torch.Tensor,
    found: torch.Tensor,
) -> dict[str, Any]:
    """Figures by name: `tour`, predicted beside true for one instance, and `learned_globe`.

    true_points, learned_points (C, 3) unit vectors; instance (k,) cities; target, found (E,) 0/1.
    """
    cities = instance.numpy()
    flags, names = countries.flags[cities], [countries.names[c] for c in cities]
    predicted = edge_list(found)
    wrong = edge_list(found * (1 - target))
    learned = learned_points @ align(learned_points, true_points).T
    places = true_points[cities]
    panels = [
        GlobePanel("the shortest tour", places, edge_list(target), flags, names),
        GlobePanel("the tour the network chose", places, predicted, flags, names, wrong=wrong),
    ]
    right = len(predicted) - len(wrong)
    title = f"A test instance: {right} of {len(predicted)} edges are right"
    return {
        "tour": draw_tours(panels, title=title),
        "learned_globe": draw_learned_globe(
            learned, true_points, countries.flags, list(countries.names)
        ),
    }
