"""Where maps of Warcraft come from: our generator, or the published files."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from combgrad.data.base import Source
from combgrad.data.batches import StoredRows
from combgrad.data.splits import SPLITS, check_size, fingerprint
from combgrad.data.warcraft.files import MapSplit
from combgrad.data.warcraft.generated import GENERATOR_VERSION, Recipe, generate
from combgrad.data.warcraft.original import PUBLISHED, load_original


@dataclass(frozen=True)
class Asked:
    """Which maps are asked for, and where files are and go."""

    cells: int
    seed: int
    path: Path | None
    url: str | None
    cache: Path | None


class Regenerated(Source):
    """Maps that are drawn here."""

    name = "regenerated"
    choice = "data.source=regenerated"

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    @property
    def fingerprint(self) -> str:
        """Of what decides the maps; generates nothing."""
        return fingerprint(self.name, self.asked.cells, GENERATOR_VERSION, self.asked.seed)

    def columns(self, split: str, count: int) -> dict[str, StoredRows]:
        """The first `count` maps of a split, as the columns of a batch."""
        recipe = Recipe(self.asked.cells, count, self.asked.seed, split)
        return generate(recipe, self.asked.cache).columns(count)

    def states(self) -> list[tuple[str, int, int]]:
        """What tells other training maps apart, beside the fingerprint: nothing."""
        return []


class Original(Source):
    """The published folder at or below `path`, or its archive, downloaded."""

    name = "original"
    choice = "data.source=original"
    needs = "where it lies, see docs/data.md"
    downloads = True

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    @cached_property
    def splits(self) -> dict[str, MapSplit]:
        """The maps by split, found and checked once; raises DataFileError or DownloadError."""
        assert self.asked.path is not None  # checked when the source was chosen
        folder = PUBLISHED.find_or_download(self.asked.path, url=self.asked.url)
        return load_original(folder, self.asked.cells)

    @property
    def fingerprint(self) -> str:
        """Of all costs and paths, and of few of the pixels."""
        marks = [self.splits[split].fingerprint() for split in SPLITS]
        return fingerprint(self.name, self.asked.cells, *marks)

    def columns(self, split: str, count: int) -> dict[str, StoredRows]:
        """The first `count` maps of a split, as the columns of a batch."""
        stored = self.splits[split]
        return stored.columns(check_size(count, len(stored), split))

    def states(self) -> list[tuple[str, int, int]]:
        """The state of the files of training maps, of whose pixels the fingerprint sees few."""
        return self.splits["train"].states()
