"""Published data sets: found where a user has them, or else downloaded and unpacked."""

from dataclasses import dataclass
from pathlib import Path

from combgrad.data.files.archives import EXTRACT_LIMIT_MEMBERS, extract
from combgrad.data.files.download import DownloadError, download

#: The collection that holds Globe TSP and the maps of Warcraft.
EDMOND = "10.17617/3.YJCQ5S (Edmond, the open research data of the Max Planck Society)"


@dataclass(frozen=True)
class Published:
    """A data set as it was published: one archive that holds one folder.

    Attributes:
        doi: where it was published.
        folder: its name below the user's folder for data.
        archive: the name of its file.
        mark: a glob pattern, from its folder on, of what nothing but this data set has.
        example: a file, from its folder on, that is there once it is unpacked.
        limit_bytes: more than the archive has; a longer one is not taken.
        checksum: of the archive, `md5:<hex>` or `sha256:<hex>`, or None where none is known.
        limit_members: more files and folders than the archive has.
        instead: the choice that needs no download, as it is typed.
    """

    doi: str
    folder: str
    archive: str
    mark: str
    example: str
    limit_bytes: int
    checksum: str | None = None
    limit_members: int = EXTRACT_LIMIT_MEMBERS
    instead: str = "data.source=regenerated"

    def find_or_download(self, root: Path, *, url: str | None) -> Path:
        """Return the folder of the data set: `root`, or one up to two levels below it.

        Where there is none, unpacks the archive in `root`, downloaded from `url` if it is not
        there. Raises DownloadError.
        """
        root = Path(root)
        found = self._find(root)
        if found is not None:
            return found
        archive = root / self.archive
        try:
            if url is not None:
                download(url, archive, checksum=self.checksum, limit_bytes=self.limit_bytes)
            elif not archive.is_file():
                raise DownloadError(
                    f"{root} holds neither {self.folder}/ nor {self.archive}, and no url is set."
                )
            extract(archive, root / self.folder, limit_members=self.limit_members)
        except DownloadError as error:
            raise DownloadError(f"{error} {self._remedy(root)}") from error
        found = self._find(root)
        if found is None:
            raise DownloadError(
                f"{root / self.folder} holds nothing named like {self.mark}; move it away. "
                f"{self._remedy(root)}"
            )
        return found

    def _find(self, root: Path) -> Path | None:
        below = self.mark.rstrip("/").count("/")
        for depth in ("", "*/", "*/*/"):
            holders = {path.parents[below] for path in root.glob(f"{depth}{self.mark}")}
            # Hidden folders are those that an archive is being unpacked into.
            seen = [path for path in holders if not _hidden(path.relative_to(root))]
            if seen:
                return min(seen, key=lambda path: (path.name != self.folder, path))
        return None

    def _remedy(self, root: Path) -> str:
        return (
            f"The data set has the DOI {self.doi}. Put its {self.archive} into {root}, or unpack "
            f"it there so that {root / self.folder / self.example} exists; or set "
            f"data.path=<its folder> (or COMBGRAD_DATA) to where you have it, or "
            f"data.url=<address of {self.archive}>. {self.instead} needs no download."
        )


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
