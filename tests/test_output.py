"""What is printed reaches any terminal, in other letters where its encoding lacks some."""

import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from combgrad.runs.configuration import CONFIG_FOLDER
from combgrad.runs.output import write_anywhere
from combgrad.sweeps.main import SHOWING

ROOT = CONFIG_FOLDER.parent


def replaced_stdout(monkeypatch, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    monkeypatch.setattr(sys, "stdout", stream)
    write_anywhere()
    return stream


def text_of(stream) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


def test_letters_that_are_lacking_are_written_in_others(monkeypatch):
    stdout = replaced_stdout(monkeypatch, "ascii")
    print("99.4 ± 0.1, ξ = 0.2, σ, λ, 12×12, é, ü, “x” – … → ■ 漢")  # noqa: RUF001
    numbers = "99.4 +- 0.1, xi = 0.2, sigma, lambda, 12x12"
    assert text_of(stdout) == f'{numbers}, e, u, "x" - ... -> ? ?\n'


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "utf-8"])
def test_tables_of_the_terminal_are_printed_whatever_the_encoding(monkeypatch, encoding):
    stdout = replaced_stdout(monkeypatch, encoding)
    table = Table("metric", title="ξ ± 1")
    table.add_row("漢 é")
    Console(file=stdout, width=40).print(table)
    found = text_of(stdout)
    assert "metric" in found
    assert ("±" if encoding != "ascii" else "+-") in found
    assert ("ξ" if encoding == "utf-8" else "xi") in found


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("words", [["tables.py", "6"], ["tables.py", "9"], ["figures.py", "99"]])
def test_scripts_print_and_complain_under_any_encoding(encoding, words):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    command = [sys.executable, str(ROOT / "scripts" / words[0]), *words[1:]]
    done = subprocess.run(command, capture_output=True, env=environment, cwd=ROOT, timeout=280)
    assert b"Traceback" not in done.stderr
    if words[1] == "6":
        assert done.returncode == 0, done.stderr
        assert b"xi = " in done.stdout
    else:
        assert done.returncode in (1, 2)
        assert b"there is no" in done.stderr


def test_every_script_writes_anywhere():
    homes = ["combgrad.sweeps.train", "combgrad.plans.script", *SHOWING.values()]
    files = [Path(importlib.util.find_spec(home).origin) for home in homes]
    for path in [*files, *(ROOT / "scripts").glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        if "combgrad import" not in text and "from combgrad" not in text:
            continue  # it runs where combgrad is not installed
        passed_on = any(f"from {home} import main\n" in text for home in homes)
        begun = any(f"    {call}(" in text for call in ("write_anywhere", "carry_out"))
        assert passed_on or begun, path


@pytest.mark.parametrize("unbuffered", [[], ["-u"]], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("lines", [1, 20_000])
def test_a_reader_that_stops_early_is_no_error(lines, unbuffered, tmp_path):
    end = tmp_path / "end"
    code = f"""
import pathlib, sys
from combgrad.runs.output import write_anywhere
write_anywhere()
sys.stdin.readline()
for number in range({lines}):
    print(number)
    print(number, file=sys.stderr)
pathlib.Path({str(end)!r}).write_text("reached")
"""
    process = subprocess.Popen(
        [sys.executable, *unbuffered, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    errors = process.communicate(b"go\n", timeout=120)[1]
    assert (process.returncode, end.read_text()) == (0, "reached")
    assert errors.decode().split() == list(map(str, range(lines)))
