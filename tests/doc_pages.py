"""What the tests of the documentation share: its pages and the blocks in them."""

import re
import statistics
from collections.abc import Sequence

from combgrad.runs.configuration import CONFIG_FOLDER

ROOT = CONFIG_FOLDER.parent
DOCS = ROOT / "docs"

#: path below docs/ -> text.
PAGES = {
    path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(DOCS.rglob("*.md"))
}


def blocks(page: str, language: str = "python") -> list[str]:
    """The blocks of a page in their order."""
    return re.findall(rf"^```{language}\n(.*?)```$", PAGES[page], re.MULTILINE | re.DOTALL)


def prose(page: str) -> str:
    """A page without code."""
    text = re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`]*`", "``", text)


def with_spread(values: Sequence[float], digits: int) -> str:
    """A mean as a page has it, with its population deviation where there are several values."""
    spread = f" ± {statistics.pstdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"
