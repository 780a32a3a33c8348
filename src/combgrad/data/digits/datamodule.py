"""Handwritten digits without labels, as a LightningDataModule."""

from typing import Literal, get_args

from torch import Tensor

from combgrad.data.datamodule import TensorDataModule, check_choice, choose, user_path
from combgrad.data.digits.sources import Original, StandIn

SourceName = Literal["stand-in", "original"]
SOURCES: tuple[type[StandIn | Original], ...] = (StandIn, Original)

Split = Literal["60-10", "50-10-10"]

#: One image in seven is for the test: 10,000 of MNIST's 70,000.
PARTS = 7


class Digits(TensorDataModule):
    """Grey images of handwritten digits; a batch has `images` (B, 784) float32 in [0, 1].

    The last seventh of all images is the test set, which is MNIST's own. With the split `60-10` of
    the paper's code it is the validation set too, so that the best epoch is chosen on it; with
    `50-10-10` of the paper's text the seventh before it validates (A-06).

    Args:
        source: `stand-in`, the optical digits in the package, or `original`, MNIST at or below
            `path`, or downloaded there from the web folder `url`.
        split: `60-10` or `50-10-10`.
        train_size, eval_size: at most so many images for training, and each for validation and
            test; the stand-in has 1,541 and 256.
        batch_size: images of a training step, over all processes.
        order_seed: of the training order.
    """

    def __init__(
        self,
        source: SourceName = "stand-in",
        split: Split = "60-10",
        train_size: int = 60_000,
        eval_size: int = 10_000,
        batch_size: int = 100,
        order_seed: int = 0,
        path: str | None = None,
        url: str | None = None,
    ) -> None:
        super().__init__(train_size, eval_size, batch_size, order_seed)
        check_choice("split", split, get_args(Split))
        chosen = choose(SOURCES, source, path, url)
        self.source, self.split, self.url = source, split, url
        self.origin = chosen(user_path(path), url)
        self.images: dict[str, Tensor] = {}

    @property
    def validates_on_test(self) -> bool:
        """Whether validation and test are the same images."""
        return self.split == "60-10"

    @property
    def data_fingerprint(self) -> str:
        """Changes whenever the images could; cheap, but says at once that a file is missing."""
        return self.origin.fingerprint

    def setup(self, stage: str | None = None) -> None:
        """Read and split the images once."""
        del stage
        if self.images:
            return
        everything = self.origin.images()
        part = len(everything) // PARTS
        test = everything[-part:]
        val = test if self.validates_on_test else everything[-2 * part : -part]
        train = everything[: -part if self.validates_on_test else -2 * part]
        self.images = {
            "train": train[: self.train_size],
            "val": val[: self.eval_size],
            "test": test[: self.eval_size],
        }

    def columns(self, split: str) -> dict[str, Tensor]:
        """The images of a split."""
        return {"images": self.images[split]}
