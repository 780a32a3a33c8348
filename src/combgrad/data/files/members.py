"""Files within a .zip or .npz, read into memory: nothing is unpacked, nothing in them is run."""

import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from combgrad.data.files.archives import EXTRACT_LIMIT_MEMBERS, Inventory, opened_zip
from combgrad.data.files.npy import REMEDY, DataFileError, array_of
from combgrad.data.files.web import DownloadError

#: What zipfile raises for a damaged archive, as far as is known.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError),
)


def read_members(archive: Path, names: Collection[str], limit_bytes: int) -> dict[str, bytes]:
    """The contents of files of a .zip, by name.

    Raises DataFileError, naming the archive, where one is missing or damaged, and for an archive
    with more than `limit_bytes` in all or any member that `extract` would refuse.
    """
    archive = Path(archive)
    if not archive.is_file():
        raise DataFileError(f"{archive}: no such file. {REMEDY}")
    try:
        found = Inventory(archive, limit_bytes, EXTRACT_LIMIT_MEMBERS)
        with opened_zip(archive, found) as bundle:
            missing = sorted({*names} - {*bundle.namelist()})
            if missing:
                raise DataFileError(
                    f"{archive}: holds no {missing[0]} ({len(missing)} of {len(names)} files are "
                    f"missing). {REMEDY}"
                )
            return {name: bundle.read(name) for name in names}
    except DataFileError:
        raise
    except DownloadError as error:
        raise DataFileError(str(error)) from error
    except _DAMAGED as error:
        raise DataFileError(
            f"{archive}: is damaged, cut short or no .zip ({type(error).__name__}: {error}). "
            f"{REMEDY}"
        ) from error


def load_npz(
    path: Path, wanted: Mapping[str, tuple[tuple[int | None, ...], str]], limit_bytes: int
) -> dict[str, np.ndarray]:
    """Arrays of an .npz file by name, read-only; `wanted` are their shapes and kinds.

    Both are as in `load_array`. Raises DataFileError as `read_members` does, and for other arrays.
    """
    contents = read_members(path, [f"{name}.npy" for name in wanted], limit_bytes)
    return {
        name: array_of(contents[f"{name}.npy"], f"{path}, {name}.npy", shape=shape, dtype_kind=kind)
        for name, (shape, kind) in wanted.items()
    }
