"""ROUGE of many short texts at once, by torchmetrics."""

from collections.abc import Sequence

import torch
from torch import Tensor

from combgrad.guards.torchvision import ensure_torchvision

ensure_torchvision()

from torchmetrics.functional.text.rouge import rouge_score  # noqa: E402

#: Our name of a score -> that of the library.
SCORES = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}


def rouge(found: Sequence[str], true: Sequence[str]) -> dict[str, Tensor]:
    """ROUGE-1, -2 and -L of texts (N) and those they should be, means of F1, and their sum.

    Words are what spaces separate, and count as they are. Source: Lin 2004.
    """
    scores = rouge_score(
        list(found),
        list(true),
        rouge_keys=tuple(SCORES.values()),
        normalizer=str,
        tokenizer=str.split,
    )
    values = {name: scores[f"{key}_fmeasure"] for name, key in SCORES.items()}
    return {**values, "rouge_total": torch.stack([*values.values()]).sum()}
