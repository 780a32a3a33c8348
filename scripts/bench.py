"""Time every solver beside its references and write tables, a picture and JSON."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import PROBLEMS, UnknownProblemError, run
from combgrad.runs.output import write_anywhere


def main() -> None:
    """Run the benchmark that the command line asks for."""
    write_anywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", metavar="NAME,...", help=f"problems to measure: {', '.join(PROBLEMS)}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON here as well")
    parser.add_argument("--quick", action="store_true", help="small sizes, under a minute")
    parser.add_argument(
        "--out",
        type=Path,
        help="output folder: results/bench, or outputs/bench for a part",
    )
    arguments = parser.parse_args()
    only = arguments.only.split(",") if arguments.only else None
    # A partial result must not take the place of a whole one.
    partial = only is not None or arguments.quick
    folder = arguments.out or Path("outputs/bench" if partial else "results/bench")
    try:
        run(only, arguments.json, arguments.quick, folder)
    except UnknownProblemError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
