"""Pictures of a Globe TSP model: a tour it chose, the globe it learned, and how it got there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from combgrad.data.globe.countries import Countries
from combgrad.metrics import edge_accuracy
from combgrad.pictures.globe import GlobePanel, align, draw_learned_globe, draw_tours
from combgrad.pictures.globe_spot import draw_spot, is_spot
from combgrad.pictures.globe_training import draw_training
from combgrad.pictures.projection import WorldMap
from combgrad.pictures.sphere import distances_km, longitude_latitude
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

    Where all places have come together in one there is a `spot` too, the map that they make.

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
    figures = {
        "tour": draw_tours(panels, title=title),
        "learned_globe": draw_learned_globe(
            learned, true_points, countries.flags, list(countries.names)
        ),
    }
    if is_spot(learned_points):
        figures["spot"] = draw_spot(learned_points, true_points, countries.names)
    return figures


@dataclass(frozen=True, eq=False)
class Moment:
    """What the network thought at one moment: places (C, 3), and tours (N, E) of the test set."""

    learned_points: np.ndarray
    found: torch.Tensor


def most_improved(first: torch.Tensor, last: torch.Tensor, room: np.ndarray) -> int:
    """The instance whose share of correct edges (N,) grew most; among equals, that of most room."""
    gained = (last - first).numpy()
    best = np.flatnonzero(gained >= gained.max() - 1e-6)
    return int(best[np.argmax(room[best])])


def room_on_map(points: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """How well a map shows each instance (N, k) of places (C, 3): larger is better, (N,).

    The smallest of 1 - cos of the angles between its cities, but -1 where they reach so far around
    the world that the map's edge may cut the tour.
    """
    cities = points[instances]
    cosines = cities @ cities.transpose(0, 2, 1) - 3 * np.eye(instances.shape[1])
    longitude, _ = longitude_latitude(cities)
    relative = (longitude - WorldMap().central_longitude + 180) % 360 - 180
    cut = np.ptp(relative, axis=1) > 180
    return np.where(cut, -1.0, 1 - cosines.max(axis=(1, 2)))


def draw_moments(
    countries: Countries,
    true_points: np.ndarray,
    moments: Mapping[int, Moment],
    instances: torch.Tensor,
    targets: torch.Tensor,
) -> Any:
    """The picture of one instance at all moments, which are keyed by the number of epochs done.

    true_points (C, 3) unit vectors; instances (N, k) cities; targets (N, E) 0/1.
    """
    shares = {epoch: edge_accuracy(moment.found, targets) for epoch, moment in moments.items()}
    room = room_on_map(true_points, instances.numpy())
    chosen = most_improved(shares[min(shares)], shares[max(shares)], room)
    cities, target = instances[chosen].numpy(), targets[chosen]
    panels = []
    for epoch, moment in moments.items():
        learned = moment.learned_points @ align(moment.learned_points, true_points).T
        found = moment.found[chosen]
        panels.append(
            GlobePanel(
                heading(epoch, float(shares[epoch].mean()), distances_km(learned, true_points)),
                learned[cities],
                edge_list(found),
                countries.flags[cities],
                [countries.names[c] for c in cities],
                ghosts=true_points[cities],
                wrong=edge_list(found * (1 - target)),
            )
        )
    title = "A test tour while the network learns; dashed: the shortest tour"
    return draw_training(panels, edge_list(target), title)


def heading(epoch: int, share: float, errors: np.ndarray) -> str:
    """What is true of all test tours and all capitals after so many epochs; errors (C,) in km."""
    when = f"after {epoch} epoch{'s' if epoch > 1 else ''}" if epoch else "before the training"
    return (
        f"{when}\n{100 * share:.1f} % of all test edges right, "
        f"median error of the capitals {np.median(errors):,.0f} km"
    )
