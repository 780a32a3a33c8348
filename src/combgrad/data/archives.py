"""Archives unpacked so that nothing leaves their folder and a half-unpacked one never counts."""

import gzip
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from combgrad.data.download import CHUNK_BYTES, DownloadError

EXTRACT_LIMIT_BYTES = 50 * 10**9

_ZIP_ENCRYPTED = 1

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    gzip.BadGzipFile,
    EOFError,
    ValueError,
    NotImplementedError,
)


def extract(archive: Path, folder: Path, *, limit_bytes: int = EXTRACT_LIMIT_BYTES) -> Path:
    """Unpack a .tar.gz, .tgz, .tar or .zip into the new folder `folder` and return it.

    The folder appears only when complete; one with content is taken for complete and left as it
    is. Refuses members that would lie or point outside of it, devices, and more than `limit_bytes`
    in all. Raises DownloadError.
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
            unpack(archive, content, limit_bytes)
            _move_into_place(content, folder)
    except _DAMAGE as error:
        raise DownloadError(
            f"{archive} is damaged, cut short or no archive ({type(error).__name__}: {error}). "
            f"Delete it, and {archive.name}.sha256 beside it, and download it again."
        ) from error
    except OSError as error:
        raise DownloadError(
            f"{archive} could not be unpacked: {error}. Or unpack it by hand into {folder}."
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


def _refusal(archive: Path, member: str, problem: str) -> DownloadError:
    return DownloadError(
        f"{archive}: {member!r} {problem}; nothing was unpacked. Compare the archive with its "
        f"publisher's checksum, and do not use it if they differ."
    )


def _inner_path(archive: Path, name: str) -> PurePosixPath:
    """The path of a member, refused where on any system it would lie outside of the folder."""
    path = PureWindowsPath(name)
    if path.drive or path.root or ".." in path.parts:
        raise _refusal(archive, name, "would be written outside of the folder")
    return PurePosixPath(name)


def _check_size(archive: Path, member: str, total: int, limit_bytes: int) -> None:
    if total > limit_bytes:
        problem = f"brings the content to {total:,} bytes, over the limit of {limit_bytes:,}"
        raise _refusal(archive, member, problem)


def _unpack_tar(archive: Path, folder: Path, limit_bytes: int) -> None:
    total, links = 0, set[PurePosixPath]()
    packed = archive.suffix in (".gz", ".tgz")
    opened: Callable[..., IO[bytes]] = gzip.open if packed else open  # type: ignore[assignment]
    with opened(archive, "rb") as stream, tarfile.open(fileobj=stream, mode="r:") as bundle:
        for member in bundle:
            _check_tar_member(archive, member, links)
            total += member.size
            _check_size(archive, member.name, total, limit_bytes)
            try:
                bundle.extract(member, folder, filter="data")
            except tarfile.FilterError as error:
                raise _refusal(archive, member.name, f"is refused ({error})") from error
            if member.issym():
                links.add(PurePosixPath(member.name))
        _check_tar_end(stream, packed)
    for link in links:
        if not (folder / link).resolve().is_relative_to(folder.resolve()):
            raise _refusal(archive, str(link), "is a link that leaves the folder")


def _check_tar_member(archive: Path, member: tarfile.TarInfo, links: set[PurePosixPath]) -> None:
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        raise _refusal(archive, member.name, "is a device or a pipe")
    # Nothing is reached through a link, so that where links lead can be checked at the end.
    for name in (member.name, *([member.linkname] if member.islnk() else [])):
        path = _inner_path(archive, name)
        if not links.isdisjoint((path, *path.parents)):
            raise _refusal(archive, member.name, "lies behind a link of the same archive")


def _check_tar_end(stream: IO[bytes], packed: bool) -> None:
    """Raise EOFError for a cut at the edge of a member, which tarfile takes for the end."""
    if packed:
        # To read on to the end makes gzip compare its checksum of the whole.
        while stream.read(CHUNK_BYTES):
            pass
        return
    stream.seek(-tarfile.BLOCKSIZE, os.SEEK_END)
    if any(stream.read()):
        raise EOFError("the end mark is missing")


def _unpack_zip(archive: Path, folder: Path, limit_bytes: int) -> None:
    total = 0
    with zipfile.ZipFile(archive) as bundle:
        for member in bundle.infolist():
            _inner_path(archive, member.filename)
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refusal(archive, member.filename, "is a link or a device")
            if member.flag_bits & _ZIP_ENCRYPTED:
                raise _refusal(archive, member.filename, "is encrypted")
            total += member.file_size
            _check_size(archive, member.filename, total, limit_bytes)
        bundle.extractall(folder)
