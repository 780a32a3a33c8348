"""The report's list of runs: what each was asked, what came out, and where it is shown."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from combgrad.results.record import RunRecord
from combgrad.results.signature import signature

#: Length and height of a curve in the units of its own picture, which is stretched to its place.
WIDTH, HEIGHT = 300, 100


@dataclass(frozen=True)
class Place:
    """Where a run is shown: a cell of a table or a figure, and whether it counts there."""

    id: str
    label: str
    counts: bool = True


#: The file name of a record -> where it is shown.
Places = Mapping[str, Sequence[Place]]


def group_id(record: RunRecord) -> str:
    """The id of the list of runs that differ from a run in nothing but the seed."""
    same = "\n".join((signature(record.config), record.profile, record.data_source))
    return f"group-{hashlib.sha256(same.encode()).hexdigest()[:12]}"


def run_id(record: RunRecord) -> str:
    """The id of one run."""
    return f"run-{record.file_name.removesuffix('.json')}"


def address(name: str) -> str:
    """The link to an id of this page."""
    return f"#{quote(name)}"


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts tsp5 before tsp10."""
    return [(int(part or 0), word) for word, part in re.findall(r"(\D*)(\d*)", text)]


def fitting(experiments: Sequence[str], profile: str | None, source: str | None) -> str:
    """The attributes that the filter looks at; None fits every choice."""
    facts = {"experiments": " ".join(experiments), "profile": profile, "source": source}
    return "".join(
        f' data-{name}="{escape(value)}"' for name, value in facts.items() if value is not None
    )


def run_groups(records: Sequence[RunRecord], places: Places, folder: str) -> str:
    """All runs, those of one configuration together; `folder` is the address of their records."""
    groups: dict[str, list[RunRecord]] = {}
    for record in sorted(records, key=lambda record: (natural(record.name), record.file_name)):
        groups.setdefault(group_id(record), []).append(record)
    shown = [runs for runs in groups.values() if _places_of(runs, places)]
    others = [runs for runs in groups.values() if not _places_of(runs, places)]
    return "\n".join(_group(runs, places, folder) for runs in shown + others)


def _places_of(runs: Sequence[RunRecord], places: Places) -> list[Place]:
    return list(dict.fromkeys(place for run in runs for place in places.get(run.file_name, ())))


def _links(places: Sequence[Place]) -> str:
    return "; ".join(f'<a href="{address(p.id)}">{escape(p.label)}</a>' for p in places)


def _group(runs: Sequence[RunRecord], places: Places, folder: str) -> str:
    first, name = runs[0], group_id(runs[0])
    found = [place for place in _places_of(runs, places) if place.counts]
    where = f"Shown in {_links(found)}." if found else "In no table or figure."
    count = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
    facts = f"Profile {first.profile}, data {first.data_source}, {count}."
    axis = _axis(runs)
    asked = " ".join(w for w in first.command.split() if "=" in w and not w.startswith("seed="))
    return (
        f'<section class="card group" id="{name}" tabindex="-1" aria-labelledby="{name}-title"'
        f"{fitting([first.experiment], first.profile, first.data_source)}>"
        f'<h3 id="{name}-title">{escape(first.name.removesuffix(f"-seed{first.seed}"))}</h3>'
        f'<p class="asked small"><code>{escape(asked)}</code></p>'
        f'<p class="places">{escape(facts)} {where}</p>'
        + "".join(_run(run, places.get(run.file_name, ()), axis, folder) for run in runs)
        + "</section>"
    )


def _run(run: RunRecord, places: Sequence[Place], axis: tuple[float, float], folder: str) -> str:
    name = run_id(run)
    return (
        f'<details class="run" id="{escape(name)}"><summary><span>seed {run.seed}</span>'
        f'<span class="headline">{escape(headline(run))}</span>{_picture(run, axis)}'
        f"<span>{duration(run.seconds.get('train', 0.0))}</span></summary>"
        f'<div class="body"><figure class="training"><figcaption class="small">'
        f"{escape(_curve_words(run, axis))}</figcaption>{_enlarged(run)}</figure>"
        '<h4 class="small">Command</h4>'
        f'<div class="command"><pre><code>{escape(run.command)}</code></pre>'
        '<button type="button" class="copy" hidden>Copy</button></div>'
        f'<div class="columns">{_facts(run, places, folder)}{_metrics(run)}</div></div></details>'
    )


def monitored(run: RunRecord) -> str:
    """The metric by which the run's best epoch was chosen, such as `val/edge_accuracy`."""
    return str((run.config.get("monitor") or {}).get("metric", "no metric"))


def short_commit(commit: str) -> str:
    """A commit in twelve digits, and whether there were changes to it."""
    digits, changed, _ = commit.partition("+")
    return digits[:12] + (" with changes" if changed else "")


def headline(run: RunRecord) -> str:
    """The monitored metric on the test data."""
    name = f"test/{monitored(run).partition('/')[2]}"
    return f"{name} {run.metrics[name]:.6g}" if name in run.metrics else f"no {name}"


def duration(seconds: float) -> str:
    """Wall time in a unit that fits it."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _curve(run: RunRecord) -> list[float]:
    return run.curves.get(monitored(run), [])


def _axis(runs: Sequence[RunRecord]) -> tuple[float, float]:
    """One range for all curves of a group, so that they can be compared by eye."""
    values = [value for run in runs for value in _curve(run) if math.isfinite(value)]
    return (min(values), max(values)) if values else (0.0, 0.0)


def _picture(run: RunRecord, axis: tuple[float, float]) -> str:
    curve, (low, high) = _curve(run), axis
    if not curve:
        return "<span></span>"
    step, scale = WIDTH / max(len(curve) - 1, 1), HEIGHT / ((high - low) or 1)
    pieces: list[list[str]] = [[]]
    for epoch, value in enumerate(curve):
        if math.isfinite(value):
            pieces[-1].append(f"{epoch * step:.1f},{(high - value) * scale:.1f}")
        else:
            pieces.append([])
    lines = "".join(f'<polyline points="{" ".join(p)}"/>' for p in pieces if p)
    best = f"{run.best_epoch * step:.1f}"
    return (
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none"'
        f' aria-hidden="true"><g id="curve-{escape(run_id(run))}">{lines}'
        f'<line x1="{best}" x2="{best}" y1="0" y2="{HEIGHT}"/></g></svg>'
    )


def _enlarged(run: RunRecord) -> str:
    """The curve of the summary once more, as large as there is room."""
    if not _curve(run):
        return ""
    return (
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none"'
        f' aria-hidden="true"><use href="{escape(address(f"curve-{run_id(run)}"))}"/></svg>'
    )


def _curve_words(run: RunRecord, axis: tuple[float, float]) -> str:
    curve = _curve(run)
    if not curve:
        return f"The record has no curve of {monitored(run)}."
    strange = [epoch for epoch, value in enumerate(curve, 1) if not math.isfinite(value)]
    words = (
        f"{monitored(run)}: {curve[0]:.4g} after the first of {len(curve)} epochs, "
        f"{curve[-1]:.4g} after the last"
    )
    if run.best_epoch < len(curve):
        words += f"; dashed: the best epoch, {run.best_epoch + 1}, with {curve[run.best_epoch]:.4g}"
    if strange:
        words += f"; not finite after {len(strange)} epochs, first after epoch {strange[0]}"
    return f"{words}. The picture reaches from {axis[0]:.4g} to {axis[1]:.4g}."


def _facts(run: RunRecord, places: Sequence[Place], folder: str) -> str:
    spent = ", ".join(f"{name} {seconds:.6g}" for name, seconds in run.seconds.items())
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    hardware = ", ".join(f"{name} {value}" for name, value in run.hardware.items())
    record = f"{folder}/{quote(run.file_name)}"
    facts = {
        "Record": f'<a href="{escape(record)}">{escape(run.file_name)}</a>',
        "Counts in": _links([place for place in places if place.counts]) or "nothing",
        "Left out of": _links([place for place in places if not place.counts]),
        "Seed": str(run.seed),
        "Profile": escape(run.profile),
        "Data": escape(f"{run.data_source}, fingerprint {run.data_fingerprint[:12]}"),
        "Seconds": escape(spent),
        "Started": escape(run.started),
        "Finished": escape(run.finished),
        "Resumed after": escape(", ".join(f"epoch {epoch}" for epoch in run.resumed_at)),
        "Commit": escape(short_commit(run.commit)),
        "Hardware": escape(hardware),
        "Versions": escape(versions),
    }
    lines = "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in facts.items() if v)
    return f'<dl class="facts">{lines}</dl>'


def _metrics(run: RunRecord) -> str:
    heads = {"test": f"best epoch ({run.best_epoch + 1})", "last": "last epoch"}
    rows: dict[str, dict[str, str]] = {}
    for full, value in run.metrics.items():
        when, _, name = full.rpartition("/")
        rows.setdefault(name, {})[when] = f"{value:.6g}"
    columns = sorted({when for row in rows.values() for when in row} | {*heads}, reverse=True)
    head = "".join(
        f'<th scope="col" class="number">{escape(heads.get(when, when or "value"))}</th>'
        for when in columns
    )
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f'<td class="number">{row.get(when, "")}</td>' for when in columns)
        + "</tr>"
        for name, row in rows.items()
    )
    return (
        '<div class="scroll"><table class="metrics"><thead><tr><th scope="col">metric</th>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
