"""Write the contact sheet of the hundred flags that the Globe TSP experiment draws."""

import argparse
from pathlib import Path

from combgrad.data.globe.countries import regenerated
from combgrad.pictures import save_figure
from combgrad.pictures.flag_sheet import draw_flag_sheet
from combgrad.runs.output import write_anywhere


def main() -> None:
    """Draw the flags and save the sheet."""
    write_anywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images/flags.png"))
    arguments = parser.parse_args()
    data = regenerated()
    captions = [
        f"{name}\n{capital}" for name, capital in zip(data.names, data.capitals, strict=True)
    ]
    print(f"wrote {save_figure(draw_flag_sheet(data.flags, captions), arguments.out)}")


if __name__ == "__main__":
    main()
