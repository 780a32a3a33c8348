"""The Warcraft data set from one of its two sources, as a LightningDataModule."""

from typing import Literal

from torch import Tensor

from combgrad.arguments import LARGEST_SEED
from combgrad.data.batches import StoredRows
from combgrad.data.datamodule import (
    TensorDataModule,
    check_whole,
    choose,
    user_path,
)
from combgrad.data.splits import SPLITS
from combgrad.data.warcraft.channels import channel_statistics_cached
from combgrad.data.warcraft.sources import Asked, Original, Regenerated

SourceName = Literal["regenerated", "original"]
SOURCES: tuple[type[Regenerated | Original], ...] = (Regenerated, Original)


class Warcraft(TensorDataModule):
    """Maps of k x k cells of terrain, and the cheapest path from upper left to lower right.

    A batch has `maps` (B, 8k, 8k, 3) uint8 in RGB, `target` (B, k, k) float32, 1 on the cells of
    the path and 0 elsewhere, and `true_costs` (B, k, k) float32, of crossing each cell. Few maps
    have one cheapest path only, the target is one of them: tell right from wrong by their costs.

    Maps stay on the disk but for the batch at hand. They are not standardised here but on the
    device of the network, x = (maps - channel_mean) / channel_std: these, known once set up, are
    the mean and the population deviation (3,) float32, 0 to 255, of the training maps in use.

    Args:
        cells: k; the published maps have 12, 18, 24 or 30 (A-35).
        source: `regenerated` draws maps itself, `original` reads the published folder at or below
            `path`, or downloads its archive from `url`.
        train_size, eval_size: maps for training, and each for validation and test.
        batch_size: maps of a training step, over all processes, and of an evaluation step of each.
        seed: of the generated maps.
        order_seed: of the training order.
        cache: folder for generated maps, or None to have them in memory.
        workers: processes that read maps from the disk, beside the one that trains.

    Raises ValueError for a setting that cannot be; `setup` and `data_fingerprint` raise
    DataFileError or DownloadError where the published files are not right.
    """

    # A step of 500 maps of 30 x 30 cells would fill 2 GB in the first layer of the network.
    eval_batch_size = 0

    def __init__(
        self,
        cells: int,
        source: SourceName = "regenerated",
        train_size: int = 10_000,
        eval_size: int = 1_000,
        batch_size: int = 70,
        seed: int = 0,
        order_seed: int = 0,
        path: str | None = None,
        url: str | None = None,
        cache: str | None = None,
        workers: int = 0,
    ) -> None:
        super().__init__(train_size, eval_size, batch_size, order_seed, workers)
        chosen = choose(SOURCES, source, path, url)
        check_whole("cells", cells, 2)
        check_whole("seed", seed, 0, LARGEST_SEED)
        self.cells, self.source, self.seed = cells, source, seed
        self.url, self.cache = url, user_path(cache, "cache")
        self.origin = chosen(Asked(cells, seed, user_path(path), url, self.cache))
        self.maps: dict[str, dict[str, StoredRows]] = {}
        self.channel_mean: Tensor
        self.channel_std: Tensor

    @property
    def data_fingerprint(self) -> str:
        """Changes whenever the data of a run could; cheap, generates nothing."""
        return self.origin.fingerprint

    def setup(self, stage: str | None = None) -> None:
        """Open or generate all splits once, and learn how bright the training maps are."""
        del stage
        if self.maps:
            return
        self.maps = {split: self.origin.columns(split, self._size(split)) for split in SPLITS}
        # The fingerprint looks at few of the published pixels, and these are about all.
        statistics = channel_statistics_cached(
            self.maps["train"]["maps"],
            self.cache,
            f"warcraft-{self.cells}-channels",
            (self.data_fingerprint, self.train_size, self.origin.states()),
        )
        self.channel_mean, self.channel_std = statistics

    def columns(self, split: str) -> dict[str, StoredRows]:
        """The maps of a split."""
        return self.maps[split]
