"""Bags of images with the labels of each bag in no order, as a LightningDataModule."""

from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad as padded
from torch.utils.data import Dataset

from combgrad.data.batch_plans import Bags, BatchPlan
from combgrad.data.batches import Table
from combgrad.data.datamodule import check_choice, check_whole
from combgrad.data.retrieval.class_images import ClassImages, places, spread
from combgrad.data.retrieval.classified import Classified, ImageSet

Split = Literal["own", "last", "within"]

#: `last` tests one image in seven, 10,000 of MNIST's 70,000; `within` one of three of each class.
PARTS, TEST_EVERY = 7, 3


class BagTable(Table):
    """Rows (B,) as they are, and rows (B, b) as bags with the labels (B, b) that each has, `bag`.

    These are in rising order, which says nothing of the image that a label belongs to. A batch of
    bags has `label` too, what each image shows, to measure by.
    """

    def __getitem__(self, rows: Tensor) -> dict[str, Tensor]:
        batch = super().__getitem__(rows)
        return batch | {"bag": batch["label"].sort(dim=1).values} if rows.dim() == 2 else batch


class BagImages(ClassImages):
    """Images in bags whose labels are known as a whole; single images for validation and test.

    A training batch has bags of `bag_size` images, as `BagTable` makes them, drawn anew in every
    epoch; bags of which fewer than 75 % of the labels are different are dropped (protocol 9.2).

    Args:
        collection: the set of images.
        bag_size: b, images of a bag; 1 is supervised learning.
        batch_images: of a training step, which has floor(batch_images / b) bags, at least one.
        classes: of the set, which the network must know.
        split: which images are for the test: `own`, as the set says; `last`, the last seventh of
            all; `within`, the third, sixth, ... of each class.
        validation: every so many of a class's other images validate instead of training; with 0
            validation and test are the same.
        pad: black pixels around an image before a random part of it is taken in training.
        **settings: see ClassImages.
    """

    free = "data=bags_flags"

    def __init__(
        self,
        collection: ImageSet,
        bag_size: int,
        classes: int,
        batch_images: int = 128,
        split: Split = "own",
        validation: int = 10,
        pad: int = 0,
        **settings: Any,
    ) -> None:
        check_whole("bag_size", bag_size, 1)
        check_whole("batch_images", batch_images, 1)
        check_whole("classes", classes, 2)
        check_choice("split", split, get_args(Split))
        check_whole("validation", validation, 0)
        if validation == 1:
            raise ValueError(
                "data.validation is 1, by which every image would validate; it must be 0, for "
                "none, or a whole number of at least 2, of which one validates."
            )
        check_whole("pad", pad, 0)
        super().__init__(collection, max(1, batch_images // bag_size), **settings)
        self.bag_size, self.batch_images, self.classes = bag_size, batch_images, classes
        self.split, self.validation, self.pad = split, validation, pad

    def _tests(self, images: Classified) -> np.ndarray:
        """Whether each image is for the test, (N,) bool."""
        if self.split == "own":
            return ~images.trains
        if self.split == "within":
            return places(images.labels) % TEST_EVERY == TEST_EVERY - 1
        count = len(images.labels)
        return np.arange(count) >= count - count // PARTS

    def numbers(self, split: str) -> np.ndarray:
        """Which images of the collection are the rows of a split; ValueError for other classes."""
        images = self.collection
        if len(images.categories) != self.classes:
            raise ValueError(
                f"data.classes is {self.classes}, and the set has {len(images.categories)}; set "
                f"that."
            )
        tests = self._tests(images)
        own = np.flatnonzero(tests)
        if split == "train" or (split == "val" and self.validation):
            others = np.flatnonzero(~tests)
            place = places(images.labels[others])
            validates = place % max(self.validation, 1) == self.validation - 1
            own = others[validates if split == "val" else ~validates]
        if not len(own):
            raise ValueError(
                f"data.split={self.split} with data.validation={self.validation} leaves no image "
                f"for the {split} split; lower data.validation, of whose many images of a class "
                f"one validates, or choose another data.split."
            )
        return own[spread(images.labels[own], self._size(split))]

    def table(self, split: str) -> Dataset[Any]:
        """Rows as batches of bags where they come as such."""
        return BagTable(self.columns(split))

    def train_plan(self, rows: int) -> BatchPlan:
        """Bags of the training images."""
        del rows
        labels = torch.from_numpy(self.collection.labels[self.numbers("train")])
        return Bags(labels, self.bag_size, self.batch_size, self.order_seed)

    def look(self, images: Tensor, training: bool) -> Tensor:
        """The part (B, C, crop, crop) that is looked at of images (B, C, side, side)."""
        wider = padded(images, [self.pad] * 4) if training and self.pad else images
        return super().look(wider, training)
