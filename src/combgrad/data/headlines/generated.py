"""Articles and headlines made by a small grammar, in which the one follows from the other."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from combgrad.data.base import Place
from combgrad.data.headlines.pairs import HeadlineSet, Pair
from combgrad.data.splits import SPLITS, fingerprint

#: What may stand in a slot; `{company}` and `{other}` of one article differ.
SLOTS = {
    "company": "birch cedar cherry elm hazel holly juniper linden maple oak pine rowan spruce",
    "city": "bergen cork delft ghent lyon malmo porto turin utrecht york",
    "country": "belgian danish dutch french irish italian norwegian polish spanish swedish",
    "good": "barley butter cocoa coffee copper cotton steel sugar timber wheat",
    "order": "first second third fourth",
    "day": "monday tuesday wednesday thursday friday",
    "legal": "co corp group inc ltd",
}

#: A sentence and its headline; one of the words apart by | is taken, the same place in both.
RULES = (
    (
        "{company} {legal} said it (agreed to buy|will acquire|made an offer for) {other} {legal}",
        "{company} (to buy|to buy|bids for) {other}",
    ),
    (
        "{company} {legal} (earned|lost) ## mln dlrs in its {order} quarter",
        "{company} {order} quarter (profit|loss)",
    ),
    (
        "{country} (exports|imports) of {good} (rose|fell|did not change) last year",
        "{country} {good} (exports|imports) (up|down|unchanged)",
    ),
    (
        "workers of {company} {legal} in {city} (laid down their tools|went back to work)",
        "{company} (strike in {city}|strike ends in {city})",
    ),
    (
        "the {country} government will (raise|lower|keep) its tax on {good}",
        "{country} {good} tax (up|down|unchanged)",
    ),
)

OPENINGS = ("", "", "on {day} ", "in a report from {city} , ")
ENDINGS = ("", "", " , a spokesman said on {day}", " , analysts in {city} said")

#: Part of the fingerprint; raise it when the grammar changes.
VERSION = 1


def _chosen(text: str, choices: list[float]) -> str:
    """A text with the i-th group of words apart by | replaced by one of them."""
    left = iter(choices)

    def choose(group: re.Match[str]) -> str:
        words = group[1].split("|")
        return words[int(next(left) * len(words))]

    return re.sub(r"\(([^()]*)\)", choose, text)


def sentence(random: np.random.Generator) -> Pair:
    """One article and its headline."""
    rule = RULES[random.integers(len(RULES))]
    frame = (OPENINGS, ENDINGS)
    opening, ending = (texts[random.integers(len(texts))] for texts in frame)
    fill = {name: random.choice(words.split()) for name, words in SLOTS.items()}
    others = [name for name in SLOTS["company"].split() if name != fill["company"]]
    fill["other"] = random.choice(others)
    choices = random.random(2).tolist()
    article, title = (_chosen(text, choices).format(**fill) for text in rule)
    said = opening.format(**fill) + article + ending.format(**fill)
    return Pair(said.split(), title.split())


@dataclass(frozen=True)
class Generated(HeadlineSet):
    """Made-up business news of about 120 words, whose headline names who and what.

    Args:
        seed: of the pairs, the same for all training seeds.
    """

    source: ClassVar[str] = "stand-in"

    seed: int = 0

    def pairs(self, place: Place, split: str) -> Iterator[Pair]:
        """Pairs without end."""
        del place
        random = np.random.default_rng([self.seed, SPLITS.index(split)])
        while True:
            yield sentence(random)

    def fingerprint(self, place: Place) -> str:
        """Of the grammar and the seed."""
        del place
        return fingerprint("grammar", VERSION, SLOTS, RULES, OPENINGS, ENDINGS, self.seed)
