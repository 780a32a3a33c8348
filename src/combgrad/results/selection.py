"""Which records are shown: the committed ones and the user's own, without what says little."""

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from combgrad import results
from combgrad.files.installation import program
from combgrad.results.record import RunRecord
from combgrad.results.store import load_records

#: The profile whose runs show that something works, and not how well.
TRIAL = "smoke"

#: Where records lie: those that came with the project, and those of this user.
COMMITTED, OWN = Path("results/runs"), Path("results/own")


@dataclass(frozen=True)
class Selection:
    """Records to show.

    Attributes:
        records: sorted by file name, each key once.
        own: the keys of those that are the user's own.
        replaced: the committed records of runs of which the user's own are shown.
        trials: how many of profile smoke are hidden.
        single: how many of the user's own are hidden because they are alone in their cell.
        beside: the folder that holds the committed ones, None where others were asked for.
    """

    records: list[RunRecord]
    own: frozenset[str] = frozenset()
    replaced: tuple[RunRecord, ...] = ()
    trials: int = 0
    single: int = 0
    beside: Path | None = None

    @property
    def hidden(self) -> str:
        """What is hidden, as a sentence; empty where nothing is."""
        reasons = {
            f"of profile {TRIAL}": self.trials,
            "of your own with a single seed": self.single,
        }
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.items() if count)
        return f"Hidden runs: {counts}; --all shows them." if counts else ""

    def apart(self, folder: str) -> "Selection":
        """The records in a folder of their own beside the committed ones, or these for ""."""
        return select([self.beside / folder]) if folder and self.beside else self

    def home(self, folders: Sequence[Path]) -> Path:
        """The folder for what is made of the records.

        It lies beside the committed ones, but with the user's own as soon as one is among them, so
        that what is committed is made of committed records alone. Where others than these come
        first, such as the user's own alone, it does not lie beside them either.
        """
        committed = folders[0].parent / COMMITTED.name
        others = folders[0].name != COMMITTED.name and committed.is_dir()
        return folders[-1] if self.own or others else folders[0].parent


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words of a command line that choose among the records."""
    parser.add_argument(
        "--results",
        type=Path,
        nargs="+",
        default=[COMMITTED, OWN],
        metavar="FOLDER",
        help=f"the records: those committed in {COMMITTED}, and your own in {OWN}",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help=f"also runs of profile {TRIAL}, and your own with a single seed",
    )


def chosen(parser: argparse.ArgumentParser, asked: argparse.Namespace) -> Selection:
    """The records that a command line asks for; the program ends where there is no folder."""
    if not any(folder.is_dir() for folder in asked.results):
        missing = ", ".join(map(str, asked.results))
        parser.error(f"there is no folder {missing}; {program()} makes records.")
    return select(asked.results, getattr(asked, "profile", None), asked.all)


def select(
    folders: Sequence[Path], profile: str | None = None, everything: bool = False
) -> Selection:
    """The records of some folders that are worth showing; all folders but the first are the user's.

    Hidden are runs of profile smoke, and runs of the user's own that are the only seed of their
    settings, data and profile, except where `everything` is asked for, or just their profile.
    """
    committed, mine = load_records(folders[0]), load_records(*folders[1:])
    published = {record.key for record in committed}
    seeds: dict[tuple[str, ...], set[int]] = {}
    for record in (*committed, *mine):
        seeds.setdefault(_cell(record), set()).add(record.seed)

    shown: dict[str, RunRecord] = {}
    hidden = {"trials": 0, "single": 0}
    owned = set(map(id, mine))
    # Of two with one key the one finished last counts, as within a folder.
    for record in sorted((*committed, *mine), key=lambda record: record.finished):
        wanted = everything or record.profile == profile
        single = id(record) in owned and len(seeds[_cell(record)]) < 2
        if not wanted and record.profile == TRIAL:
            hidden["trials"] += 1
        elif not wanted and single and record.key not in published:
            hidden["single"] += 1
        else:
            shown[record.key] = record
    own = frozenset(key for key, record in shown.items() if id(record) in owned)
    return Selection(
        records=sorted(shown.values(), key=lambda record: (record.file_name, record.key)),
        own=own,
        replaced=tuple(record for record in committed if record.key in own),
        beside=folders[0].parent if folders[0].name == COMMITTED.name else None,
        **hidden,
    )


def _cell(record: RunRecord) -> tuple[str, ...]:
    """What the runs share that a mean is taken over."""
    return (record.signature, record.profile, record.data_source, record.data_fingerprint)


def counted(records: Sequence[RunRecord]) -> tuple[list[RunRecord], list[RunRecord]]:
    """The records that count in their cells, by seed, and those left out, by file name.

    Which those are, `results.frame` says.
    """
    counting = results.frame(records=records).counts
    return (
        sorted(itertools.compress(records, counting), key=lambda record: record.seed),
        sorted(itertools.compress(records, ~counting), key=lambda record: record.file_name),
    )
