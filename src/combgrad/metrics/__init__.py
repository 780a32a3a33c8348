"""What is measured: of a solution, one value an instance, and of all embeddings of a set."""

from combgrad.metrics.regret import normalised_regret, regret, unambiguous_regret, worst_tied
from combgrad.metrics.retrieval import (
    RetrievalScores,
    cluster_agreement,
    nearest,
    retrieval_scores,
)
from combgrad.metrics.solution import (
    column_cost_ratio,
    cost_mse,
    cost_norm,
    cost_ratio,
    edge_accuracy,
    entry_accuracy,
    is_cheapest,
    subset_precision,
    tour_accuracy,
    wrong_entries,
)

__all__ = [
    "RetrievalScores",
    "cluster_agreement",
    "column_cost_ratio",
    "cost_mse",
    "cost_norm",
    "cost_ratio",
    "edge_accuracy",
    "entry_accuracy",
    "is_cheapest",
    "nearest",
    "normalised_regret",
    "regret",
    "retrieval_scores",
    "subset_precision",
    "tour_accuracy",
    "unambiguous_regret",
    "worst_tied",
    "wrong_entries",
]
