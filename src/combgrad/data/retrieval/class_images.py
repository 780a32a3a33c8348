"""A set of images with classes as a LightningDataModule, whatever is learned of it."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from combgrad.data.base import Place
from combgrad.data.batches import Column
from combgrad.data.datamodule import (
    TensorDataModule,
    check_collection,
    check_url,
    check_whole,
    user_path,
)
from combgrad.data.files.pictures import all_pixels
from combgrad.data.frozen import checked_backbone
from combgrad.data.retrieval.classified import Classified, ImageSet
from combgrad.data.retrieval.crops import middle, random_part
from combgrad.data.retrieval.features import features_of
from combgrad.networks.backbones import Backbone

#: Images of a class, where a size is too small for all classes.
LEAST = 4


class Chosen:
    """Some rows of an array (N, ...), which may lie on the disk, by their numbers."""

    def __init__(self, array: np.ndarray, numbers: np.ndarray) -> None:
        self.array, self.numbers = array, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        return torch.from_numpy(np.array(self.array[self.numbers[rows.numpy()]]))


def spread(labels: np.ndarray, most: int) -> np.ndarray:
    """The numbers of at most so many of the rows (N,), in order, as many of each class as can be.

    Of each class the first ones are taken; where that would leave fewer than LEAST of each, of the
    first classes only, of two at least: an image that is alone in its class finds nothing.
    """
    names = np.unique(labels)
    if most < LEAST * len(names):
        chosen = np.flatnonzero(np.isin(labels, names[: max(2, most // LEAST)]))
        if len(chosen) < len(labels):
            return chosen[spread(labels[chosen], most)]
    return np.sort(np.lexsort((labels, places(labels)))[:most])


def places(labels: np.ndarray) -> np.ndarray:
    """Which of its class each of the rows (N,) is, counted from 0, (N,)."""
    order = np.argsort(labels, kind="stable")
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    place = np.empty(len(labels), dtype=np.int64)
    place[order] = np.arange(len(labels)) - np.repeat(starts, counts)
    return place


class ClassImages(TensorDataModule):
    """Images with classes; a subclass says which are the rows of a split.

    A batch has `label` (B,) int64, and `images` (B, 1 or 3, S, S) uint8, whole, of which `look`
    takes a part, or, with a frozen backbone, its `features` (B, G) of the middle part.

    Args:
        collection: the set of images.
        batch_size: instances of a training step.
        train_size, eval_size: at most so many images, evenly of all classes, or of as many as have
            four then.
        side: pixels of a side that pictures from files are brought to, whatever their proportions.
        crop: pixels of a side of the part that is looked at (A-21).
        mirror: whether it is mirrored at random while training.
        order_seed: of the training batches.
        backbone: makes features of the images where it is frozen; else, and where it is None,
            batches have the images.
        path: the folder that holds the set.
        url: the address of the set's archive.
        cache: folder for decoded pictures and features, or None to have them in memory.
        workers: processes that read images, beside the one that trains.

    Raises ValueError for a setting that cannot be; `setup` and `data_fingerprint` raise
    DataFileError or DownloadError where the files are not right.
    """

    #: A choice that needs no files.
    free: ClassVar[str] = "data=digits_by_class backbone=small_cnn"

    def __init__(
        self,
        collection: ImageSet,
        batch_size: int,
        /,
        train_size: int = 10**7,
        eval_size: int = 10**7,
        side: int = 256,
        crop: int = 224,
        mirror: bool = True,
        order_seed: int = 0,
        backbone: Backbone | None = None,
        path: str | None = None,
        url: str | None = None,
        cache: str | None = None,
        workers: int = 0,
    ) -> None:
        super().__init__(train_size, eval_size, batch_size, order_seed, workers)
        check_whole("crop", crop, 1)
        check_whole("side", side, crop)
        if not isinstance(mirror, bool):
            raise ValueError(f"data.mirror is {mirror!r}; give true or false.")
        home = user_path(path), url, user_path(cache, "cache")
        self.files = Place(*home, free=self.free)
        check_set(collection, self.files)
        self.backbone = checked_backbone(backbone)
        self.set, self.source = collection, collection.source
        self.side, self.crop, self.mirror = side, crop, mirror
        self._pixels: np.ndarray | None = None
        self._features: np.ndarray | None = None

    @property
    def collection(self) -> Classified:
        """All images with their classes, read once."""
        return read_once(self.set, self.files)

    @property
    def data_fingerprint(self) -> str:
        """Changes whenever images or classes do; says at once that a file is missing."""
        return self.collection.fingerprint()

    def setup(self, stage: str | None = None) -> None:
        """Decode the images, or find their features, once."""
        del stage
        if self._pixels is not None or self._features is not None:
            return
        images, cache = self.collection, self.files.cache
        size = images.pixels.shape[2] if images.pixels is not None else self.side
        if size != self.side:
            raise ValueError(f"data.side is {self.side}, and these images have {size}; set that.")
        if self.backbone is not None and self.backbone.frozen:
            self._features = features_of(self.backbone, images, self.side, self.crop, cache)
        elif images.files is not None:
            self._pixels = all_pixels(images.files, cache, self.side, "retrieval")
        else:
            self._pixels = images.pixels

    @abstractmethod
    def numbers(self, split: str) -> np.ndarray:
        """Which images of the collection are the rows of a split."""

    def columns(self, split: str) -> Mapping[str, Column]:
        """The classes and the images, or features, of a split."""
        if self._pixels is None and self._features is None:
            raise RuntimeError("setup() must be called before batches are asked for")
        numbers = self.numbers(split)
        label = torch.from_numpy(self.collection.labels[numbers])
        if self._features is not None:
            return {"label": label, "features": torch.from_numpy(self._features[numbers])}
        assert self._pixels is not None
        return {"label": label, "images": Chosen(self._pixels, numbers)}

    def look(self, images: Tensor, training: bool) -> Tensor:
        """The part (B, C, crop, crop) that is looked at of images (B, C, side, side)."""
        if training:
            return random_part(images, self.crop, self.mirror)
        return middle(images, self.crop)

    def photographs(self, split: str, rows: Sequence[int]) -> np.ndarray:
        """Images (N, side, side, 3) uint8 of rows of a split."""
        images, numbers = self.collection, self.numbers(split)[list(rows)]
        if images.files is not None:
            shown = np.stack([images.files[number].pixels(self.side) for number in numbers])
        else:
            assert images.pixels is not None
            shown = images.pixels[numbers]
        return np.broadcast_to(shown, (len(shown), 3, *shown.shape[2:])).transpose(0, 2, 3, 1)


@lru_cache(maxsize=4)
def read_once(collection: ImageSet, place: Place) -> Classified:
    """What a set holds, read once by a process."""
    return collection.read(place)


def check_set(collection: ImageSet, place: Place) -> None:
    """Raise ValueError for settings that do not go together with the set of images."""
    check_collection(collection, ImageSet, "images", place.free)
    check_url(place.url, collection.source, collection.words)
    if collection.source == "original":
        place.check_given(collection, "images-by-class")
