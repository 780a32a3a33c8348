"""The published maps of Warcraft: 12, 18, 24 or 30 cells a side, with their cheapest paths."""

from pathlib import Path

from combgrad.data.files.npy import DataFileError
from combgrad.data.files.published import EDMOND, Published
from combgrad.data.splits import SPLITS
from combgrad.data.warcraft.files import MapSplit, load_split

PUBLISHED = Published(
    doi=EDMOND,
    folder="warcraft_shortest_path_oneskin",
    archive="warcraft_maps.tar.gz",
    mark="[0-9]*x[0-9]*/*_shortest_paths*.npy",
    example="12x12/train_shortest_paths.npy",
    limit_bytes=10 * 10**9,
    checksum="md5:acea5ea60a47664ff189923a84814e96",
)


def load_original(folder: Path, cells: int) -> dict[str, MapSplit]:
    """All splits of one size from a folder with folders such as `12x12`.

    Raises DataFileError, naming the file, for anything missing, damaged or inconsistent.
    """
    size = Path(folder) / f"{cells}x{cells}"
    if not size.is_dir():
        others = sorted(path.name for path in size.parent.glob("[0-9]*x[0-9]*") if path.is_dir())
        raise DataFileError(
            f"{size}: no such folder; there are: {', '.join(others) or 'none'}. Choose one of them "
            f"(data.cells=<k>) or restore the data set (DOI {PUBLISHED.doi})."
        )
    return {split: load_split(size, split, cells) for split in SPLITS}
