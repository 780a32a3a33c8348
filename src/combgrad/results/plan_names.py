"""Names of tables and figures: on the command line, in files, in headings."""

from collections.abc import Mapping
from typing import Any

from combgrad.results.paper import paper_of


def called(name: str, document: Mapping[str, Any]) -> str:
    """What headings call a plan: its own `called`, or `Table 6` for table6, `Figure 4a`.

    Of another paper than the first with its name: `The companion paper, Table 1`.
    """
    kind, number = told(name)
    paper = paper_of(number)
    words = f"{kind.capitalize()} {number.removeprefix(paper.prefix)}"
    return str(document.get("called", f"{paper.name}, {words}" if paper.prefix else words))


def plan_name(kind: str, number: str) -> str:
    """The name, unique among all tables and figures, of `table=6`, and of `figure=values1`."""
    return f"{kind}{number}" if number[:1].isdigit() else f"{kind}_{number}"


def told(name: str) -> tuple[str, str]:
    """Kind and word of a plan's name: `table` and `6` of table6, `values1` of figure_values1."""
    kind = "figure" if name.startswith("figure") else "table"
    return kind, name.removeprefix(kind).removeprefix("_")
