"""What the site takes from the rest of the project: its version, its figures, its report."""

import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]

#: Results that pages show, below the folder of the site as they are below that of the project.
SHOWN = ("figures/*.png", "figures/*.svg", "report/index.html", "bench/bench.png")

#: Links to tables and records lead to the report, which has them all.
GATHERED = re.compile(
    r"(\]\((?:\.\./)+results/)(?:tables/(\w+)\.\w+|(?:tables|runs)(?:/[\w./-]*)?)\)"
)

#: A table of the report, its id and whether a cell of it has runs.
TABLE = re.compile(r'<section class="result-table" id="([^"]+)"(.*?)</section>', re.DOTALL)
WITH_RUNS = re.compile(r'<td class="cell (?!mark-no-run)')

#: A page's parts that stay as they are, and formulas: displayed, then within a line.
CODE = re.compile(r"(^```.*?^```$|`[^`\n]*`)", re.MULTILINE | re.DOTALL)
DISPLAYED = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"\$([^$\n]+)\$")

#: A picture that is no link yet: in the column of a page its small print is hard to read.
PICTURE = re.compile(r"(?<!\[)!\[[^\]]*\]\(([^)\s]+)\)")


def version() -> str:
    """The version, which stands in the package alone."""
    text = (ROOT / "src" / "combgrad" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert found, "src/combgrad/__init__.py has no __version__"
    return found.group(1)


def on_config(config: MkDocsConfig, **_: Any) -> MkDocsConfig:
    """The version, for the head of every page."""
    config.extra["version_name"] = version()
    return config


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Figures and the report, which lie outside docs/."""
    for pattern in SHOWN:
        for path in sorted((ROOT / "results").glob(pattern)):
            place = path.relative_to(ROOT).as_posix()
            if path.suffix == ".html":
                text = within_site(path.read_text(encoding="utf-8"))
                files.append(File.generated(config, place, content=text))
            else:
                files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def within_site(report: str) -> str:
    """The report with its links to pages of docs/ as they are within the site, and a way back."""
    back = '<a href="../../index.html">combgrad</a>, <a href="../../results.html">results</a>'
    report = report.replace('<p class="kind">combgrad, results<', f'<p class="kind">{back}<')
    return re.sub(r'href="((?:\.\./)+)docs/([\w/-]+)\.md"', r'href="\1\2.html"', report)


def anchor(report: str, table: str) -> str:
    """Where a table stands on the report, such as `#table6-paper-regenerated`.

    Of several profiles or data it is the one with the most numbers; empty where there is none.
    """
    filled = {
        name: len(WITH_RUNS.findall(text))
        for name, text in TABLE.findall(report)
        if name.partition("-")[0] == table
    }
    return f"#{max(filled, key=filled.__getitem__)}" if filled else ""


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links into results/ as they are within the site, pictures that open large, and MathML."""
    del page
    markdown = GATHERED.sub(_into_report, markdown)
    markdown = re.sub(r"\]\(\.\./((?:\.\./)*results/)", r"](\1", markdown)
    parts = CODE.split(markdown)
    for number in range(0, len(parts), 2):
        shown = DISPLAYED.sub(lambda m: _formula(m.group(1), "block"), parts[number])
        parts[number] = INLINE.sub(lambda m: _formula(m.group(1), "inline"), shown)
        parts[number] = PICTURE.sub(r"[\g<0>](\1)", parts[number])
    return "".join(parts)


def _into_report(link: re.Match[str]) -> str:
    table = link[2]
    report = (ROOT / "results" / "report" / "index.html").read_text(encoding="utf-8")
    return f"{link[1]}report/index.html{anchor(report, table) if table else ''})"


def _formula(latex: str, display: str) -> str:
    made = convert(latex, display=display)
    # A tag that Markdown knows to stand within a line, so that it does not start a block.
    return f'<div class="formula">{made}</div>' if display == "block" else f"<span>{made}</span>"


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """A list of pages for search engines would have no address to name."""
    for name in ("sitemap.xml", "sitemap.xml.gz"):
        Path(config.site_dir, name).unlink(missing_ok=True)
