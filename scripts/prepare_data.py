"""Read a data set into the cache ahead of the first run, or write a made-up one to look at."""

import argparse
import sys
from pathlib import Path

from combgrad.data.reviews.datamodule import Reviews
from combgrad.data.reviews.files import ASPECTS, MADE_UP_FILE
from combgrad.data.reviews.stand_in import Recipe, write_stand_in
from combgrad.data.reviews.summary import summary
from combgrad.errors import CombgradError
from combgrad.files.writing import write_text_atomically
from combgrad.runs.output import write_anywhere


def count(text: str) -> int:
    """A number of reviews, at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of reviews; give 1 or more")
    return int(text)


def seed(text: str) -> int:
    """A seed of made-up reviews, at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; give a whole number, at least 0")
    return int(text)


def arguments() -> argparse.Namespace:
    """The command line; argparse ends the program where it makes no sense."""
    parser = argparse.ArgumentParser(description=__doc__)
    reviews = parser.add_subparsers(dest="data", required=True, metavar="reviews").add_parser(
        "reviews", help="rated beer reviews, see docs/beer-advocate.md"
    )
    what = reviews.add_mutually_exclusive_group(required=True)
    what.add_argument("--path", type=Path, metavar="FOLDER", help="the published files")
    what.add_argument("--stand-in", action="store_true", help="write made-up reviews")
    reviews.add_argument("--aspect", choices=ASPECTS, default="aroma")
    reviews.add_argument("--cache", type=Path, default=Path(".cache"), metavar="FOLDER")
    made_up = reviews.add_argument_group("with --stand-in")
    made_up.add_argument("--out", type=Path, metavar="FOLDER", help="where to write them")
    made_up.add_argument("--train", type=count, default=1000, metavar="N")
    made_up.add_argument("--heldout", type=count, default=200, metavar="N")
    made_up.add_argument("--annotated", type=count, default=100, metavar="N")
    made_up.add_argument("--seed", type=seed, default=0)
    asked = parser.parse_args()
    if asked.stand_in != (asked.out is not None):
        parser.error("--stand-in and --out=<folder> belong together")
    return asked


def main() -> None:
    """Run the script; an error that the user can mend is told in one line."""
    write_anywhere()
    asked = arguments()
    try:
        if asked.stand_in:
            aspect = ASPECTS.index(asked.aspect)
            sizes = (asked.train, asked.heldout, asked.annotated)
            write_stand_in(asked.out, Recipe(aspect, *sizes, asked.seed))
            write_text_atomically(asked.out / MADE_UP_FILE, "These reviews are made up.\n")
            print(f"{asked.out} holds made-up reviews; the first number of a line is appearance.")
        else:
            path, cache = str(asked.path), str(asked.cache)
            print(summary(Reviews(asked.aspect, source="original", path=path, cache=cache)))
    except (CombgradError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
