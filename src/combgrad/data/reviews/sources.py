"""Where rated reviews come from: made up here, or from files of the paper's or of others."""

import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from combgrad.data.base import Source
from combgrad.data.reviews import files, lexicon, overall, stand_in
from combgrad.data.reviews.checksums import checksums_of
from combgrad.data.reviews.encoded import Encoded, encode
from combgrad.data.splits import sha256_of


@dataclass(frozen=True)
class Asked:
    """Which reviews are asked for, and where files are and go."""

    aspect: str
    train_size: int
    eval_size: int
    annotated_size: int
    seed: int
    path: Path | None
    cache: Path | None

    @property
    def number(self) -> int:
        """Which of the aspects it is."""
        return (*files.ASPECTS, files.OVERALL).index(self.aspect)


class StandIn(Source):
    """Made-up reviews with ratings of a known cause."""

    name = "stand-in"
    choice = "data=reviews"
    aspects = files.ASPECTS

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    @property
    def recipe(self) -> stand_in.Recipe:
        """What the reviews are made by."""
        return stand_in.Recipe(
            aspect=self.asked.number,
            train=self.asked.train_size,
            heldout=2 * self.asked.eval_size,
            annotated=self.asked.annotated_size,
            seed=self.asked.seed,
        )

    @property
    def said(self) -> str:
        """What the record says of their origin."""
        return self.name

    @property
    def fingerprint(self) -> str:
        """Of lexicon and recipe."""
        recipe = json.dumps(vars(self.recipe), sort_keys=True)
        version = str(stand_in.GENERATOR_VERSION)
        return joined(self.name, self.asked.aspect, version, lexicon.digest(), recipe)

    def checksums(self) -> dict[str, str]:
        """Of files: there are none."""
        return {}

    def encode(self) -> Encoded:
        """The reviews as numbers."""
        # The text of many reviews may be too much for a temporary folder in memory.
        cache = self.asked.cache
        if cache is not None:
            cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".reviews-") as folder:
            stand_in.write_stand_in(Path(folder), self.recipe)
            return encode(files.find(Path(folder), self.asked.number), self.asked.number)


class Original(Source):
    """The published files at or below `path`."""

    name = "original"
    choice = "data=beer"
    aspects = files.ASPECTS
    needs = "the folder with the files of the reviews"

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    @property
    def path(self) -> Path:
        """Where the files are."""
        assert self.asked.path is not None  # checked when the source was chosen
        return self.asked.path

    @property
    def said(self) -> str:
        """What the record says of their origin: made-up reviews in files stay a stand-in."""
        return StandIn.name if files.is_made_up(self.path) else self.name

    @property
    def fingerprint(self) -> str:
        """Of all files; raises DataFileError where one is missing."""
        return joined(self.said, self.asked.aspect, *self.checksums().values())

    @cached_property
    def _checksums(self) -> dict[str, str]:
        found = files.find(self.path, self.asked.number).all()
        digests = checksums_of(found, self.asked.cache)
        return dict(zip(map(str, found), digests, strict=True))

    def checksums(self) -> dict[str, str]:
        """The sha256 of each file, by path; raises DataFileError."""
        return self._checksums

    def encode(self) -> Encoded:
        """The reviews as numbers; raises DataFileError."""
        return encode(files.find(self.path, self.asked.number), self.asked.number)


class Overall(Source):
    """Reviews of the same site with a rating of the beer as a whole, see `overall`."""

    name = "overall"
    choice = "data=reviews_overall"
    aspects = (files.OVERALL,)
    needs = "the folder that holds beer_reviews"

    #: What the record says of their origin: published, and not what the paper used.
    said = "other"

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    @cached_property
    def _files(self) -> overall.OverallFiles:
        assert self.asked.path is not None  # checked when the source was chosen
        return overall.find(self.asked.path)

    @cached_property
    def _checksums(self) -> dict[str, str]:
        found = self._files.all()
        digests = checksums_of(found, self.asked.cache)
        return dict(zip(map(str, found), digests, strict=True))

    def checksums(self) -> dict[str, str]:
        """The sha256 of each file, by path; raises DataFileError."""
        return self._checksums

    @property
    def fingerprint(self) -> str:
        """Of all files; raises DataFileError where one is missing."""
        return joined(self.name, str(overall.VERSION), *self.checksums().values())

    def encode(self) -> Encoded:
        """The reviews as numbers; raises DataFileError."""
        return overall.encode(self._files)


def joined(*parts: str) -> str:
    """The digest of several texts."""
    return sha256_of("\0".join(parts).encode())
