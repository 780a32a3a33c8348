"""Rewrite a folder of run records in today's format, and say of each what changes."""

import argparse
import json
import sys
from pathlib import Path

from combgrad.files.writing import write_text_atomically
from combgrad.results import load_record
from combgrad.results.migrations import changes
from combgrad.runs.output import write_anywhere


def arguments() -> argparse.Namespace:
    """The command line; argparse ends the program where it makes no sense."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="such as results/own")
    parser.add_argument("--dry", action="store_true", help="only say what would change")
    found = parser.parse_args()
    if not found.folder.is_dir():
        parser.error(f"there is no folder {found.folder}")
    return found


def rewrite(path: Path, dry: bool) -> list[str]:
    """Rewrite one record under its own name; what changes, nothing where it is as of today."""
    # First, as its errors name the file.
    text = load_record(path).to_json()
    before = json.loads(path.read_text(encoding="utf-8"))
    found = changes(before, json.loads(text))
    if found and not dry:
        write_text_atomically(path, text)
    return found


def main() -> None:
    """Run the script; a record that cannot be read is named, left alone, and fails the command."""
    write_anywhere()
    asked = arguments()
    counts = {"changed": 0, "unchanged": 0, "unreadable": 0}
    for path in sorted(asked.folder.glob("[!.]*.json")):
        try:
            found = rewrite(path, asked.dry)
        except (ValueError, OSError) as error:
            counts["unreadable"] += 1
            print(error)
            continue
        counts["changed" if found else "unchanged"] += 1
        for line in found:
            print(f"{path.name}: {line}")
    told = ", ".join(f"{number} {name}" for name, number in counts.items())
    print(f"{told}{' (nothing was written)' if asked.dry else ''}")
    sys.exit(1 if counts["unreadable"] else 0)


if __name__ == "__main__":
    main()
