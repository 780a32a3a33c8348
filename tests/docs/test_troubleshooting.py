"""Every message that the page of troubles quotes is one that the code still has."""

import ast
import re

from doc_pages import PAGES, ROOT

PAGE = PAGES["troubleshooting.md"]
QUOTED = re.findall(r"^\*\*`(.+)`\*\*$", PAGE, re.MULTILINE)

#: What stands for a value in a message.
GAP = "\0"


def written(node):
    """The text of a string of the code, with gaps for its values; None where it is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(written(part) or GAP for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = written(node.left), written(node.right)
        return None if left is None or right is None else left + right
    return None


def texts():
    return [
        text
        for path in sorted((ROOT / "src").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (text := written(node))
    ]


def says(text, message):
    """Whether a message with `…` for what differs is a part of a text with gaps."""
    parts = [part.strip() for part in message.split("…")]
    # The search alone would take a quarter of a minute with the long texts of the code.
    if not all(part in text for part in parts):
        return False
    return re.search(f".*?{GAP}.*?".join(map(re.escape, parts)), text, re.DOTALL) is not None


def test_every_quoted_message_exists():
    code = texts()
    assert len(QUOTED) > 30
    assert len(set(QUOTED)) == len(QUOTED)
    missing = [quoted for quoted in QUOTED if not any(says(text, quoted) for text in code)]
    assert missing == []


def test_every_message_has_a_cause_and_a_remedy():
    entries = re.findall(r"^\*\*`.+`\*\*\n: (.+(?:\n  .+)*)", PAGE, re.MULTILINE)
    assert len(entries) == len(QUOTED)
    assert all(len(entry) > 30 and entry.endswith((".", ")")) for entry in entries)


def test_a_message_that_the_code_does_not_have_is_found():
    assert says(f"{GAP} is {GAP}; choose a or b", "… is …; choose")
    assert not says(f"{GAP} is {GAP}; choose a or b", "… is …; take")
    assert not says("is a; choose", "is …; choose")
