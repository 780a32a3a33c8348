"""Archives unpacked so that nothing leaves their folder and a half-unpacked one never counts."""

import contextlib
import gzip
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from combgrad.data.files.download import CHUNK_BYTES
from combgrad.data.files.web import DownloadError

EXTRACT_LIMIT_BYTES = 50 * 10**9
#: Files, links and folders, and folders within folders.
EXTRACT_LIMIT_MEMBERS = 20_000
EXTRACT_LIMIT_DEPTH = 32

#: What describes one member of a tar, and all members of a zip, and what may follow the end of a
#: tar: a program that reads them whole needs many times as much memory.
_TAR_HEADER_BYTES = 1 << 16
_ZIP_HEADER_BYTES = 1 << 22
_TAR_TAIL_BYTES = 1 << 24
#: Settings for all further members of a tar, of which each is given a copy.
_TAR_SETTINGS = 1000

_ZIP_ENCRYPTED = 1
#: The others need memory by the gigabyte for a few bytes.
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def extract(
    archive: Path,
    folder: Path,
    *,
    limit_bytes: int = EXTRACT_LIMIT_BYTES,
    limit_members: int = EXTRACT_LIMIT_MEMBERS,
) -> Path:
    """Unpack a .tar.gz, .tgz, .tar or .zip into the new folder `folder` and return it.

    The folder appears only when complete; one with content is taken for complete and left as it
    is. Files have the permissions that the umask leaves them. Refuses members that would lie or
    point outside of the folder, devices, more than `limit_bytes` or `limit_members` in all, and
    headers and depths far beyond the usual. Raises DownloadError, naming the archive.
    """
    archive, folder = Path(archive), Path(folder)
    if _has_content(folder):
        return folder
    unpack = _unpack_zip if archive.suffix == ".zip" else _unpack_tar
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=folder.parent, prefix=f".{folder.name}-", ignore_cleanup_errors=True
        ) as temporary:
            content = Path(temporary) / "content"
            content.mkdir()
            unpack(archive, content, Inventory(archive, limit_bytes, limit_members))
            _move_into_place(content, folder)
    except DownloadError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
            raise DownloadError(
                f"{archive} could not be unpacked: {error}. Or unpack it by hand into {folder}."
            ) from error
        # What tarfile and zipfile raise for damaged files is not documented: nearly anything.
        raise DownloadError(
            f"{archive} is damaged, cut short or no archive ({type(error).__name__}: {error}). "
            f"Delete it, and {archive.name}.sha256 beside it, and download it again."
        ) from error
    return folder


def _has_content(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _move_into_place(content: Path, folder: Path) -> None:
    try:
        content.rename(folder)
    except OSError:
        # Another process that unpacked the same archive may have been faster.
        if not _has_content(folder):
            raise


class Inventory:
    """What an archive was found to hold so far, and how much that may be."""

    def __init__(self, archive: Path, limit_bytes: int, limit_members: int) -> None:
        self.archive, self.limit_bytes, self.limit_members = archive, limit_bytes, limit_members
        self.total, self.members = 0, 0
        self.paths: set[PurePosixPath] = set()

    def refusal(self, member: str, problem: str) -> DownloadError:
        """The error for a member that is not unpacked."""
        shown = member if len(member) <= 100 else f"{member[:100]}..."
        return DownloadError(
            f"{self.archive}: {shown!r} {problem}; nothing was unpacked. Compare the archive with "
            f"its publisher's checksum, and do not use it if they differ."
        )

    def inner_path(self, name: str) -> PurePosixPath:
        """The path of a member, refused where on any system it would lie outside of the folder."""
        path = PureWindowsPath(name)
        if path.drive or path.root or ".." in path.parts:
            raise self.refusal(name, "would be written outside of the folder")
        if len(path.parts) > EXTRACT_LIMIT_DEPTH:
            problem = f"lies in more than {EXTRACT_LIMIT_DEPTH} folders within each other"
            raise self.refusal(name, problem)
        return PurePosixPath(name)

    def add(self, name: str, size: int) -> None:
        """Count a member of `size` bytes, and the folders that it needs."""
        path = self.inner_path(name)
        self.paths |= {path, *path.parents}
        self.members += 1
        self.total += size
        if size < 0 or self.total > self.limit_bytes:
            problem = f"brings the content to {self.total:,} bytes"
            raise self.refusal(name, f"{problem}, over the limit of {self.limit_bytes:,}")
        # The folder itself is one of the paths, and a name may stand there twice.
        if max(self.members, len(self.paths) - 1) > self.limit_members:
            problem = f"is one of more than {self.limit_members:,} files and folders"
            raise self.refusal(name, problem)


class _Guarded:
    """A stream of which no more than `left` bytes are read before that is set anew; None: any."""

    def __init__(self, stream: IO[bytes], left: int, refusal: DownloadError) -> None:
        self.stream, self.refusal = stream, refusal
        self.left: int | None = left
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        """What the stream has, a size below 0 standing for all of it."""
        if self.left is None:
            return self.stream.read(size)
        self.last = self.stream.read(size if 0 <= size <= self.left else self.left + 1)
        self.left -= len(self.last)
        if self.left < 0:
            raise self.refusal
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _unpack_tar(archive: Path, folder: Path, found: Inventory) -> None:
    packed = archive.suffix in (".gz", ".tgz")
    opened: Callable[..., IO[bytes]] = gzip.open if packed else open  # type: ignore[assignment]
    links = set[PurePosixPath]()
    with opened(archive, "rb") as stream:
        large = f"has a header of more than {_TAR_HEADER_BYTES:,} bytes"
        guarded = _Guarded(stream, _TAR_HEADER_BYTES, found.refusal("a member", large))
        with tarfile.open(fileobj=guarded, mode="r:") as bundle:
            while (member := bundle.next()) is not None:
                guarded.left = None
                found.add(member.name, member.size)
                _check_tar_member(member, found, links, folder)
                _check_settings(bundle, member, found)
                _extract_tar_member(bundle, member, found, folder)
                if member.issym():
                    links.add(PurePosixPath(member.name))
                bundle.members = []  # type: ignore[attr-defined]  # it would keep all headers
                guarded.left = _TAR_HEADER_BYTES
        # What tarfile cannot read it takes for the end.
        if guarded.last != bytes(tarfile.BLOCKSIZE):
            raise EOFError("the end mark is missing")
        if packed:
            _read_tail(stream, found)
    for link in links:
        if not (folder / link).resolve().is_relative_to(folder.resolve()):
            raise found.refusal(str(link), "is a link that leaves the folder")


def _check_tar_member(
    member: tarfile.TarInfo, found: Inventory, links: set[PurePosixPath], folder: Path
) -> None:
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        raise found.refusal(member.name, "is a device or a pipe")
    if member.issparse():
        raise found.refusal(member.name, "is a file with holes")
    # Nothing is reached through a link, so that where links lead can be checked at the end.
    for name in (member.name, *([member.linkname] if member.islnk() else [])):
        path = found.inner_path(name)
        if not links.isdisjoint((path, *path.parents)):
            raise found.refusal(member.name, "lies behind a link of the same archive")
    if member.islnk() and not (folder / member.linkname).is_file():
        raise found.refusal(member.name, "is a link to no file before it")


def _check_settings(bundle: tarfile.TarFile, member: tarfile.TarInfo, found: Inventory) -> None:
    if max(len(bundle.pax_headers), len(member.pax_headers)) > _TAR_SETTINGS:
        raise found.refusal(member.name, f"has more than {_TAR_SETTINGS:,} settings")


def _extract_tar_member(
    bundle: tarfile.TarFile, member: tarfile.TarInfo, found: Inventory, folder: Path
) -> None:
    def plain(info: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
        # Neither permissions nor times: these are the umask's and today's.
        kept = tarfile.data_filter(info, path)
        return kept.replace(mode=None, mtime=None)  # type: ignore[arg-type]

    try:
        bundle.extract(member, folder, filter=plain)
    except tarfile.FilterError as error:
        raise found.refusal(member.name, f"is refused ({error})") from error


def _read_tail(stream: IO[bytes], found: Inventory) -> None:
    """Read on to the end, which makes gzip compare its checksum of the whole."""
    left = _TAR_TAIL_BYTES
    while chunk := stream.read(CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise found.refusal("the archive", f"goes on for {_TAR_TAIL_BYTES:,} bytes at its end")


def _unpack_zip(archive: Path, folder: Path, found: Inventory) -> None:
    with opened_zip(archive, found) as bundle:
        bundle.extractall(folder)


@contextlib.contextmanager
def opened_zip(archive: Path, found: Inventory) -> Iterator[zipfile.ZipFile]:
    """A .zip whose members are all within the limits of `found`; DownloadError for any other.

    What zipfile raises for a damaged one it raises here too.
    """
    large = f"has a list of content of more than {_ZIP_HEADER_BYTES:,} bytes"
    with archive.open("rb") as stream:
        guarded = _Guarded(stream, _ZIP_HEADER_BYTES, found.refusal("the archive", large))
        with zipfile.ZipFile(guarded) as bundle:
            guarded.left = None
            for member in bundle.infolist():
                _check_zip_member(member, found)
            yield bundle


def _check_zip_member(member: zipfile.ZipInfo, found: Inventory) -> None:
    name = member.filename
    found.add(name, member.file_size)
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise found.refusal(name, "is a link or a device")
    if member.flag_bits & _ZIP_ENCRYPTED:
        raise found.refusal(name, "is encrypted")
    if member.compress_type not in _ZIP_METHODS:
        raise found.refusal(name, f"is packed by method {member.compress_type}, not deflated")
