"""The command `combgrad`: it trains, or shows what came out; `python train.py` is the same."""

import importlib.util
import sys

from combgrad.files.installation import extra
from combgrad.guards.collecting import no_collecting

#: The first word of a command that does not train, and where it is carried out.
SHOWING = {
    "tables": "combgrad.plans.tables",
    "figures": "combgrad.plans.figures",
    "report": "combgrad.plans.report",
    "reproduction": "combgrad.plans.reproduction",
    "warmup": "combgrad.sweeps.warmup",
}

#: What the bare library does without.
_OPTIONAL = frozenset({"hydra", "omegaconf", "pytorch_lightning", "pandas", "matplotlib", "rich"})


def main() -> None:
    """Carry out the command line of this process."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    if word != "warmup" and importlib.util.find_spec("fcntl") is None:
        sys.exit(
            "error: experiments need the file locks of Linux or macOS, which this system lacks; on "
            "Windows run them in WSL (docs/install.md)."
        )
    try:
        with no_collecting():
            module = importlib.import_module(SHOWING.get(word, "combgrad.sweeps.train"))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _OPTIONAL:
            raise
        sys.exit(f"error: there is no {error.name}, which experiments need: {extra('experiments')}")
    if word in SHOWING:
        sys.argv = [f"combgrad {word}", *sys.argv[2:]]
    module.main()
