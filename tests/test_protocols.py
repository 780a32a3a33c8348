"""Every open question of the paper that is cited somewhere is answered in docs/protocols.md."""

import re

from combgrad.runs.configuration import CONFIG_FOLDER

ROOT = CONFIG_FOLDER.parent
CITED_IN = ("src", "configs", "scripts", "docs", "tests", "README.md")
NUMBER = re.compile(r"\bA-\d\d\b")


def files():
    for place in CITED_IN:
        path = ROOT / place
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.suffix in {".py", ".yaml", ".md"} and "__pycache__" not in file.parts:
                yield file


def test_every_cited_question_is_answered_once():
    page = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    answered = re.findall(r"^\| (A-\d\d) \|", page, re.MULTILINE)
    assert len(set(answered)) == len(answered)
    cited = {
        number: file.relative_to(ROOT)
        for file in files()
        for number in NUMBER.findall(file.read_text(encoding="utf-8"))
    }
    assert len(cited) > 30
    assert not {n: str(place) for n, place in cited.items() if n not in answered}
