"""Numbers of pages, taken from results/tables: `python docs/tools/excerpts.py` writes them anew.

A page marks their place by two comments, between which the table stands:

    <!-- excerpt of table7.csv, reduced, 1 digit, rows (.*) -->
    <!-- end -->

The rows of that profile are those whose name the expression matches as a whole; its group is what
the page calls them.
"""

import csv
import re
from pathlib import Path

DOCS = Path(__file__).parents[1]
TABLES = DOCS.parent / "results" / "tables"

EXCERPT = re.compile(
    r"(<!-- excerpt of (?P<file>[\w.]+), (?P<profile>\w+), (?P<digits>\d) digits?, "
    r"rows (?P<rows>.+?) -->\n)(?P<old>.*?)(<!-- end -->)",
    re.DOTALL,
)


def cell(row: dict[str, str], digits: int) -> str:
    """Mean, deviation and number of seeds; a dash where there is no run."""
    if not int(row["seeds"]):
        return "-"
    shown = f"{float(row['mean']):.{digits}f}"
    if row["std"]:
        shown += f" ± {float(row['std']):.{digits}f}"
    return f"{shown} ({row['seeds']})"


def excerpt(file: str, profile: str, digits: int, rows: str) -> str:
    """The table in Markdown; ValueError where no row has that name."""
    with (TABLES / file).open(encoding="utf-8", newline="") as opened:
        given = [row for row in csv.DictReader(opened) if row["profile"] == profile]
    found: dict[str, dict[str, str]] = {}
    for row in given:
        matched = re.fullmatch(rows, row["row"])
        if matched:
            found.setdefault(matched.group(1), {})[row["column"]] = cell(row, digits)
    if not found:
        raise ValueError(f"{file} has no rows {rows!r} of profile {profile}.")
    heads = list(next(iter(found.values())))
    lines = [["", *heads], ["---"] * (1 + len(heads))]
    lines += [[name, *(cells.get(head, "-") for head in heads)] for name, cells in found.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def renewed(page: str) -> str:
    """A page with all its excerpts as the tables have them now."""

    def write(found: re.Match[str]) -> str:
        made = excerpt(found["file"], found["profile"], int(found["digits"]), found["rows"])
        return f"{found.group(1)}\n{made}\n{found.group(7)}"

    return EXCERPT.sub(write, page)


def main() -> None:
    """Write every page whose numbers have changed."""
    for path in sorted(DOCS.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if (now := renewed(text)) != text:
            path.write_text(now, encoding="utf-8")
            print(path)


if __name__ == "__main__":
    main()
