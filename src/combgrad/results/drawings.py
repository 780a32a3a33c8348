"""The report's figures: each of one profile and data source, and which of them come first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from combgrad.results.paper import paper_of
from combgrad.results.record import RunRecord
from combgrad.results.report_runs import About
from combgrad.results.selection import TRIAL, counted
from combgrad.results.series import Sketch, own

#: How many figures a page begins with.
LEADING = 4


@dataclass(frozen=True)
class Drawing:
    """A figure of one profile and data source: its SVG, or the problem that it has none for.

    `words` say how to read it, `unfit` are the files of records without the numbers that it draws,
    and `single` is whether no line in it has more than one point.
    """

    sketch: Sketch
    profile: str
    source: str
    svg: str = ""
    problem: str = ""
    unfit: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    single: bool = False

    @property
    def id(self) -> str:
        """Unique among all figures, such as `figure4a-paper-regenerated`."""
        return f"{self.sketch.name}-{self.profile}-{self.source}"

    @property
    def title(self) -> str:
        """Its heading."""
        return self.sketch.layout.heading

    @property
    def about(self) -> About:
        """What the page's filter looks at."""
        return About(experiments_of(self.sketch), self.profile, self.source)

    @property
    def little(self) -> str:
        """Why there is little to see; empty where there is more."""
        if self.profile == TRIAL:
            return f"of profile {TRIAL}"
        return "of one point a line" if self.single else ""

    def runs(self, records: Sequence[RunRecord]) -> list[tuple[list[RunRecord], list[RunRecord]]]:
        """Of each of its cells, the runs that count and those left out."""
        kept = [r for r in records if (r.profile, r.data_source) == (self.profile, self.source)]
        counting, left_out = counted(kept)
        fitting = [run for run in counting if run.file_name not in self.unfit]
        others = [*left_out, *(run for run in counting if run.file_name in self.unfit)]
        return [(own(marks, fitting), own(marks, others)) for _, marks in self.sketch.asked]


def experiments_of(sketch: Sketch) -> list[str]:
    """The experiments of a figure."""
    return list(dict.fromkeys(str(point["experiment"]) for point, _ in sketch.asked))


def leading(drawings: Sequence[Drawing], records: Sequence[RunRecord]) -> list[Drawing]:
    """The figures to begin with: one for each set of experiments.

    Those that a paper has come first, the companion's after the other's, then those of most runs.
    """

    def worth(drawing: Drawing) -> tuple[bool, bool, int]:
        number = drawing.sketch.layout.number
        prefix = paper_of(number).prefix
        printed = re.fullmatch(r"\d+[a-z]?", number.removeprefix(prefix))
        return bool(printed), not prefix, sum(len(kept) for kept, _ in drawing.runs(records))

    shown = [drawing for drawing in drawings if not drawing.little and not drawing.problem]
    best: dict[frozenset[str], Drawing] = {}
    for drawing in sorted(shown, key=worth, reverse=True):
        best.setdefault(frozenset(experiments_of(drawing.sketch)), drawing)
    return list(best.values())[:LEADING]
