"""Every rendering of a table: Markdown, CSV, LaTeX and HTML, of hard texts too."""

import csv
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from combgrad.results.table_markup import LATEX, latex_text, to_html, to_latex
from combgrad.results.table_text import to_csv, to_markdown
from combgrad.results.tables import make_tables
from made_tables import ACCURACY, POINTS, a_record, a_value, asked_for, cell_of, layout, only


@pytest.fixture
def table():
    records = [a_record(p, seed, 0.5 + seed / 10) for p in POINTS[:3] for seed in (0, 1)]
    values = [a_value(94.5, 10.53, **POINTS[0]), a_value(55, 1.0, **POINTS[1])]
    return only(make_tables(layout(), asked_for(), records, values))


def test_markdown_has_the_same_cells_in_every_line(table):
    text = to_markdown(table)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    counts = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert counts == {1 + 2 + 4}
    # 2 heads, 3 lines of TSP(5), and one of TSP(10), of which nothing is printed.
    assert len(lines) == 6
    for word in (
        "Profile paper",
        "data regenerated",
        "**55.00 ± 5.00 (2)**",
        "94.5 ± 10.53 (?)",
        "-39.50 outside",
        "0.00 inside",
        "identity, ξ = 0.1",
    ):
        assert word in text, word


def test_csv_has_one_line_a_cell(table):
    rows = list(csv.DictReader(io.StringIO(to_csv([table, table]))))
    assert len(rows) == 16
    first = next(row for row in rows if row["point"] == "experiment=tsp5 grad=identity margin=none")
    assert (first["profile"], first["data_source"]) == ("paper", "regenerated")
    assert [float(first[key]) for key in ("mean", "std", "paper_mean", "paper_std")] == [
        55,
        5,
        94.5,
        10.53,
    ]
    assert (first["seeds"], first["difference"], first["mark"]) == ("2", "-39.5", "outside")
    assert first["runs"].split() == list(cell_of(table, POINTS[0]).runs)
    assert first["row"] == "TSP_5 & more"


def test_latex_is_balanced_and_escaped(table):
    text = to_latex(table)
    depth = 0
    for letter in re.sub(r"\\[{}]", "", text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    for name in re.findall(r"\\begin\{(\w+)\}", text):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {1 + 4}
    assert r"TSP\_5 \& more" in text
    assert r"100 \% $<$b$>$$|$$<$/b$>$ \$x\_1\textasciicircum{}2\$" in text
    assert r"\multicolumn{2}{c}{identity}" in text
    assert text.isascii()
    assert latex_text("-0.23 \\ ~") == r"$-$0.23 \textbackslash{} \textasciitilde{}"


#: What a record or a label could hold that means something to LaTeX, a spreadsheet or a browser.
HARD = [
    "\\input{/etc/passwd}",
    "100% #1 $x_1^2$ {a} ~&",
    "[x] after a line",
    "* after a line",
    "a -- b --- c '' d `` e , , f ,, g",
    "tab\there, line\nthere, \r\n\N{LINE SEPARATOR}and there",
    "control \0 \x07 \x1b[31m \x7f \x85",
    "é Ł ß “quoted” 中 ★ \N{RIGHT-TO-LEFT OVERRIDE}",
    "<script>alert(1)</script>",
]


@pytest.mark.parametrize("text", HARD)
def test_nothing_in_a_text_is_a_command_to_latex(text):
    escaped = latex_text(text)
    # Without what the table itself writes nothing is left that LaTeX would act upon.
    for made in sorted({*LATEX.values(), "{}", "{[}", "{*}"}, key=len, reverse=True):
        escaped = escaped.replace(made, " ")
    assert not re.search(r"[\\&%$#_{}~^<>|`\"]|--|''|,,", escaped)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", escaped)
    assert not re.match(r"\s*[\[*]", escaped)
    assert all(letter.isascii() or "À" <= letter <= "ÿ" for letter in escaped)


def hard_tables():
    """A table whose labels and file names are all of HARD."""
    points = [{"experiment": text, "grad": "identity", "margin": "none"} for text in HARD]
    records = [
        a_record(point, 0, 0.5, name=text, data_source=text, data_fingerprint=data)
        for point, text in zip(points, HARD, strict=True)
        for data in "ab"
    ]
    return make_tables(layout(absent={"margin.alpha": "-"}), asked_for(points), records, [])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_of_hard_texts_compiles(tmp_path):
    body = "\n".join(to_latex(table) for table in hard_tables())
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}"
    text = f"{document}\n{body}\n\\end{{document}}\n"
    (tmp_path / "all.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=250)
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-2000:]


def test_no_text_of_a_markdown_table_is_a_line_or_a_tag_of_its_own():
    for table in hard_tables():
        text = to_markdown(table)
        assert not re.search(r"(?<!\\)<", text)
        kinds = {line[:2] for line in text.splitlines()}
        assert kinds <= {"##", "Pr", "| ", "- ", ""}, kinds


FORMULAS = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\N{FULLWIDTH EQUALS SIGN}1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_of_a_csv_is_a_formula(text):
    point = {"experiment": text, "grad": "identity", "margin": "none"}
    records = [a_record(point, seed, 0.2, name=text, data_source=text) for seed in (0, 0, 1)]
    document = layout(labels={}, rows=["{experiment}"], metrics=[ACCURACY | {"unit": text}])
    value = a_value(50.0, 0.5)
    (table,) = make_tables(document, asked_for([point]), records, [value])
    (row,) = csv.DictReader(io.StringIO(to_csv([table]), newline=""))
    for name in ("data_source", "row", "unit", "runs"):
        assert row[name].startswith("'"), name
    # Numbers stay numbers, below zero too.
    assert [float(row[name]) for name in ("mean", "difference", "seeds")] == [20.0, -30.0, 2.0]


class Parts(HTMLParser):
    """The open tags at every moment, all ids, all text and the cells of a fragment."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.cells, self.text, self.lines = [], [], [], "", []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        if tag == "tr":
            self.lines.append(0)
        if tag in ("td", "th"):
            self.lines[-1] += int(values.get("colspan", 1))
        if "cell" in values.get("class", "").split():
            self.cells.append(values)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_parses_and_its_cells_know_their_runs(table):
    text = to_html(table)
    parts = Parts()
    parts.feed(text)
    assert parts.open == []
    assert text.isascii()
    assert parts.ids[0] == table.id == "table6-paper-regenerated"
    assert len(set(parts.ids)) == len(parts.ids) == 9
    # The corner spans both lines of heads.
    assert parts.lines == [5, 4, 5, 5]
    first = next(c for c in parts.cells if c["data-point"].endswith("grad=identity margin=none"))
    assert first["data-runs"].split() == list(cell_of(table, POINTS[0]).runs)
    assert (first["data-mark"], first["data-seeds"]) == ("outside", "2")
    assert "mark-outside" in first["class"].split()
    assert len(parts.cells) == 8
    for word in ("TSP_5 & more", "<b>|</b>", "55.00 ± 5.00 (2)", "paper 94.5 ± 10.53 (?)"):
        assert word in parts.text, word
    assert "Profile paper, data regenerated" in parts.text


def test_html_heads_of_several_levels_span_their_rows():
    document = layout(rows=["{grad}", "{experiment}"], columns=["{margin}"])
    parts = Parts()
    text = to_html(only(make_tables(document, asked_for(), [a_record(POINTS[0])], [])))
    parts.feed(text)
    assert '<th scope="rowgroup" rowspan="2">identity</th>' in text
    assert parts.lines == [4, 4, 3, 4, 3]


def test_a_table_may_have_a_name_of_its_own():
    (named,) = make_tables(layout(called="Table 6 on buses"), asked_for(), [], [])
    (numbered,) = make_tables(layout(), asked_for(), [], [])
    for render in (to_markdown, to_html, to_latex):
        assert "Table 6 on buses: A title" in render(named)
        assert "Table 6: A title" in render(numbered)
