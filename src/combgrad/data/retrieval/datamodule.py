"""Images whose class is to be found again, as a LightningDataModule."""

from typing import Any

import numpy as np
import torch

from combgrad.data.batch_plans import BatchPlan, ClassBalanced
from combgrad.data.datamodule import check_whole
from combgrad.data.retrieval.class_images import ClassImages, spread
from combgrad.data.retrieval.classified import ImageSet


class RetrievalImages(ClassImages):
    """Images with classes of which some train and the others are for the test.

    A training batch has `classes` classes with `samples` images of each (A-22). There is no
    validation split: validation and test are the same images, as in the work the protocol comes
    from (A-25).

    Args:
        collection: the set of images.
        classes, samples: of a training step.
        **settings: see ClassImages.
    """

    def __init__(
        self, collection: ImageSet, classes: int = 32, samples: int = 4, **settings: Any
    ) -> None:
        check_whole("classes", classes, 2)
        check_whole("samples", samples, 2)
        super().__init__(collection, classes * samples, **settings)
        self.classes, self.samples = classes, samples

    def numbers(self, split: str) -> np.ndarray:
        """Which images of the collection are the rows of a split."""
        images = self.collection
        own = np.flatnonzero(images.trains if split == "train" else ~images.trains)
        return own[spread(images.labels[own], self._size(split))]

    def train_plan(self, rows: int) -> BatchPlan:
        """Batches of some classes with some images of each."""
        del rows
        labels = self.collection.labels[self.numbers("train")]
        return ClassBalanced(torch.from_numpy(labels), self.classes, self.samples, self.order_seed)
