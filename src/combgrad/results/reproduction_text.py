"""The page that tells of every printed number what has become of it, as Markdown."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from combgrad.results.comparisons import COMBINED, deviations_away
from combgrad.results.paper import PAPERS, Paper
from combgrad.results.record import RunRecord
from combgrad.results.reproduction import FULL, WIDEST, Explanation, Line, State
from combgrad.results.table_text import markdown_cell, markdown_text
from combgrad.results.tables import TOLERANCE

HEAD = ("cell", "state", "data", "profile", "seeds", "ours", "paper", "away", "why")


#: What is said of the cells that are not reproduced.
OTHERS = {
    "were run by the same protocol and are outside": (State.OUTSIDE,),
    f"are inside, but our seeds spread more than {WIDEST:g} times as far": (State.WIDER,),
    "were run with a shorter training": (State.REDUCED_INSIDE, State.REDUCED_OUTSIDE),
    "were run on other data alone": (State.OTHER_DATA, State.STAND_IN),
    "are times that are not compared": (State.NOT_COMPARED,),
    "were not run": (State.NOT_RUN,),
}


def share(paper: Paper, lines: Iterable[Line]) -> str:
    """One sentence on how much of a paper is reproduced."""
    states = Counter(line.state for line in lines if line.paper is paper)
    cells, right = sum(states.values()), states[State.REPRODUCED]
    counts = {words: sum(states[one] for one in group) for words, group in OTHERS.items()}
    others = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
    return (
        f"Of the {cells} cells in the tables of {paper.name[0].lower()}{paper.name[1:]} {right} "
        f"({100 * right / max(cells, 1):.0f} %) are reproduced"
        f"{f'; of the others {others}' if others else ''}."
    )


def computing(records: Iterable[RunRecord]) -> str:
    """One sentence on the hours that runs took, in training and evaluation, by their profiles."""
    spent: defaultdict[str, list[float]] = defaultdict(list)
    for record in records:
        seconds = record.seconds
        spent[record.profile].append((seconds.get("train", 0.0) + seconds.get("eval", 0.0)) / 3600)
    parts = ", ".join(
        f"{sum(hours):.1f} for {len(hours):,} of profile `{name}`"
        for name, hours in sorted(spent.items())
    )
    runs, hours = sum(map(len, spent.values())), sum(map(sum, spent.values()))
    return (
        f"The {runs:,} runs on record took {hours:.1f} hours of training and evaluation, one after "
        f"the other: {parts}."
    )


def to_page(
    lines: Sequence[Line],
    explanations: Sequence[Explanation],
    titles: Mapping[str, str],
    records: Sequence[RunRecord],
) -> str:
    """The page; `titles` has the heading of each table by its word, `records` are all there are."""
    parts = [
        "# Cell by cell",
        *(share(paper, lines) for paper in PAPERS),
        computing(records),
        *_reading(),
        _table(("table", *State, "all"), _counts(lines, titles)),
    ]
    texts = {one.id: one.text for one in explanations}
    for number in dict.fromkeys(line.table for line in lines):
        here = [line for line in lines if line.table == number]
        reasons = dict.fromkeys(name for line in here for name in line.reasons)
        parts += [f"## {markdown_text(titles[number])}", _table(HEAD, map(_row, here))]
        parts += ["\n".join(f"- **{name}**: {texts[name]}" for name in reasons)] * bool(reasons)
    return "\n\n".join(parts) + "\n"


def _reading() -> tuple[str, ...]:
    return (
        "This page is made from the committed records and the printed numbers by `python "
        "scripts/reproduction.py`; the explanations stand in "
        "`src/combgrad/results/reproduction.yaml`. The runs behind a number are named in "
        "`results/tables` and in the report.",
        f"**Reproduced** is a cell that was run with profile `{FULL}`, on the paper's data "
        f"(`original`) or on data that are made by its recipe (`regenerated`), and whose mean over "
        f"the seeds is at most {TOLERANCE} combined deviations away from the printed one: "
        f"{COMBINED}. (The tables themselves say inside and outside by the printed deviation "
        f"alone.) Where our seeds spread more than {WIDEST:g} times as far as the printed "
        f"deviation, a mean may be inside by that **wider spread**, and does not count. A "
        f"**shorter training** is one of profile `reduced`: such cells are compared, and do not "
        f"count. Nor do **stand-in** data and **other** ones, such as WILLOW for Pascal VOC, whose "
        f"numbers stand here without a comparison. Minutes are those of the machine. Away: our "
        f"mean minus the printed one, in combined deviations.",
    )


def _counts(lines: Sequence[Line], titles: Mapping[str, str]) -> Iterable[tuple[str, ...]]:
    for number in dict.fromkeys(line.table for line in lines):
        states = Counter(line.state for line in lines if line.table == number)
        counts = (str(states[state] or "") for state in State)
        name = titles[number].partition(":")[0]
        yield (name, *counts, str(sum(states.values())))
    for paper in PAPERS:
        states = Counter(line.state for line in lines if line.paper is paper)
        counts = (str(states[state] or "") for state in State)
        yield (f"**{paper.name}**", *counts, f"**{sum(states.values())}**")


def _row(line: Line) -> tuple[str, ...]:
    paper = f"{line.value.text} ({line.value.restarts or '?'})"
    reasons = ", ".join(line.reasons)
    found = line.found
    if found is None:
        return (line.place, line.state, "", "", "", "", paper, "", reasons)
    cell, metric = found.cell, line.metric
    spread = "" if cell.std is None else f" ± {metric.format(cell.std)}"
    away = deviations_away(cell)
    own = found.layout.number in line.value.tables
    elsewhere = "" if own else f" ({found.layout.called})"
    return (
        line.place,
        line.state,
        f"{found.source}{elsewhere}",
        found.profile,
        str(len(cell.seeds)),
        f"{metric.format(cell.mean or 0.0)}{spread}",
        paper,
        "" if away is None or line.state is State.NOT_COMPARED else _signed(away),
        reasons,
    )


def _signed(away: float) -> str:
    text = f"{away:+.1f}"
    return text if float(text) else "0.0"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(map(markdown_cell, row)) for row in (head, *rows)]
    ruled = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in ruled)
