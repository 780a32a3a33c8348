"""Commands as they are written down can be pasted into a shell."""

import shlex
import subprocess

import pytest

from combgrad.runs.commands import command

NASTY = [
    "experiment=tsp5",
    "+note='two words'",
    '+note="a b"',
    "+note=it's",
    "+note=a\\b",
    "paths.root=/tmp/a b",
    "solver.f.path=$HOME",
    "+x=`date`",
    "data={a: 1, b: [1,2]}",
    "grad=glob(*)",
    "~tuned",
    "+x=#1!;&|<>?*",
    "+x=${oc.env:HOME}",
    "+x=",
    "",
    "+x=one\ntwo",
    "+x=ü",
]


@pytest.mark.parametrize("word", NASTY)
def test_a_shell_reads_the_same_words_again(word):
    text = command([word, "resume=true"])
    assert shlex.split(text) == ["python", "train.py", word, "resume=true"]
    printed = text.replace("python train.py", "printf '%s\\0'", 1)
    found = subprocess.run(["bash", "-c", printed], check=True, capture_output=True).stdout
    assert found.decode().split("\0")[:-1] == [word, "resume=true"]


def test_addresses_lose_their_secrets():
    text = command(["data.url=https://me:hidden@host/x?token=hidden"])
    assert shlex.split(text) == ["python", "train.py", "data.url=https://host/x"]
