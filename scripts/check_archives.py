"""What a source archive and a wheel must hold, and must not: `check_archives.py FILE...`."""

import re
import sys
import tarfile
import zipfile
from pathlib import Path

#: What whoever has only the archive needs: to build, to read, to cite, to test.
IN_SOURCE = (
    *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md"),
    *("Makefile", "constraints.txt", "train.py", "mkdocs.yml", "configs/train.yaml"),
    *("src/combgrad/__init__.py", "src/combgrad/py.typed", "tests/contract.py", "docs/adding.md"),
    *("src/hydra_plugins/combgrad_sweeper/sweeper.py", "scripts/check_wheel.sh"),
    *("src/combgrad/results/paper_tables.csv", "src/combgrad/data/globe/countries.csv"),
)
IN_WHEEL = (
    *("combgrad/__init__.py", "combgrad/py.typed", "combgrad/configs/train.yaml"),
    *("combgrad/configs/experiment/tsp5.yaml", "combgrad/results/pages/report.html"),
    *("combgrad/results/paper_tables.csv", "combgrad/data/globe/countries.csv"),
    *("combgrad/data/digits/optical_digits.npz", "combgrad/data/digits/LICENSE.txt"),
    "hydra_plugins/combgrad_sweeper/sweeper.py",
)
#: What grows while one works.
NEVER = re.compile(
    r"(^|/)(__pycache__|\.venv|\.cache|\.git|outputs|wandb|dist)(/|$)|^results/own|\.(nbi|nbc|pyc)$"
)


def members(archive: Path) -> list[str]:
    """The files of an archive; of a source archive without its folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.namelist()
    with tarfile.open(archive) as source:
        files = [member.name for member in source.getmembers() if member.isfile()]
    return [name.partition("/")[2] for name in files]


def faults(archive: Path) -> list[str]:
    """One line for each file that is missing, or too many."""
    names = members(archive)
    needed = IN_WHEEL if archive.suffix == ".whl" else IN_SOURCE
    found = [f"{archive.name} has no {name}" for name in needed if name not in names]
    return found + [f"{archive.name} has {name}" for name in names if NEVER.search(name)]


def main() -> None:
    """Check the archives that are named; the program ends where one is not as it must be."""
    found = [line for name in sys.argv[1:] for line in faults(Path(name))]
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
