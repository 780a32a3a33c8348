"""Archives are unpacked whole or not at all, and never outside their folder."""

import gzip
import io
import os
import random
import tarfile
import tracemalloc
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest

from combgrad.data.files import archives as module
from combgrad.data.files.archives import extract
from combgrad.data.files.download import DownloadError

CONTENT = bytes(range(256)) * 4096


def tar_of(path: Path, *members: tuple[str, bytes | str], kind: bytes = tarfile.REGTYPE) -> Path:
    """Write a tar of (name, content) files; where the content is a str, it is a link of `kind`."""
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as bundle:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = kind, content
                bundle.addfile(info)
            else:
                info.size = len(content)
                bundle.addfile(info, io.BytesIO(content))
    return path


def zip_of(path: Path, *members: tuple[str, bytes], mode: int = 0o100644) -> Path:
    """Write a zip of (name, content) files, all of one Unix mode."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            bundle.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


def pack(path: Path, *members: tuple[str, bytes]) -> Path:
    """Write an archive of the kind that the name says."""
    return zip_of(path, *members) if path.suffix == ".zip" else tar_of(path, *members)


def assert_refused(archive: Path, match: str, **options: int) -> None:
    """Assert that nothing of the archive reaches the disk, inside or outside of its folder."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(DownloadError, match=match) as caught:
        extract(archive, archive.parent / "out", **options)
    assert str(archive) in str(caught.value)
    assert sorted(archive.parent.rglob("*")) == before


KINDS = pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar", "a.zip"])
FILES = (("top/one.txt", CONTENT), ("top/deep/two.txt", b"two"))


@KINDS
def test_extracts(tmp_path: Path, name: str) -> None:
    folder = extract(pack(tmp_path / name, *FILES), tmp_path / "new" / "out")
    assert (folder / "top/one.txt").read_bytes() == CONTENT
    assert (folder / "top/deep/two.txt").read_bytes() == b"two"
    assert [path.name for path in folder.parent.iterdir()] == ["out"]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert folder.stat().st_mode == plain.stat().st_mode


def test_complete_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    extract(pack(tmp_path / "a.zip", *FILES), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_faster_process_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(tmp_path / "a.tar", *FILES)

    def slow(source: Path, content: Path, _: object) -> None:
        monkeypatch.undo()
        extract(source, tmp_path / "out")
        (content / "late").write_text("late")

    monkeypatch.setattr(module, "_unpack_tar", slow)
    extract(archive, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["top"]


@KINDS
@pytest.mark.parametrize(
    "member", ["../evil", "/evil", "top/../../evil", "..\\evil", "C:\\evil", "C:evil", "\\evil"]
)
def test_paths_that_leave_are_refused(tmp_path: Path, name: str, member: str) -> None:
    (tmp_path / "box").mkdir()
    archive = pack(tmp_path / "box" / name, *FILES, (member, b"evil"))
    assert_refused(archive, "outside of the folder")
    assert [path.name for path in tmp_path.iterdir()] == ["box"]


@pytest.mark.parametrize("goal", ["/etc/passwd", "../../evil", "top/../../evil"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_that_leave_are_refused(tmp_path: Path, goal: str, kind: bytes) -> None:
    archive = tar_of(tmp_path / "a.tar", FILES[0], ("link", goal), kind=kind)
    assert_refused(archive, "refused|outside of the folder")


@pytest.mark.parametrize("turn", [1, -1])
def test_chain_of_links_that_leaves_is_refused(tmp_path: Path, turn: int) -> None:
    chain = (("a/b/c/up", "../../.."), ("a/b/c/out", "up/../.."))[::turn]
    archive = tar_of(tmp_path / "a.tar", *chain, kind=tarfile.SYMTYPE)
    assert_refused(archive, "link|refused")


@pytest.mark.parametrize("member", ["link", "link/file", "./link//file"])
def test_writing_through_a_link_is_refused(tmp_path: Path, member: str) -> None:
    links = (("link", "top"), (member, b"through"))
    archive = tar_of(tmp_path / "a.tar", *links, kind=tarfile.SYMTYPE)
    assert_refused(archive, "lies behind a link")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_inside_are_kept(tmp_path: Path, kind: bytes) -> None:
    goal = "one" if kind == tarfile.SYMTYPE else "top/one"
    archive = tar_of(tmp_path / "a.tar", ("top/one", b"1"), ("top/two", goal), kind=kind)
    assert (extract(archive, tmp_path / "out") / "top/two").read_bytes() == b"1"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    archive = tar_of(tmp_path / "a.tgz", FILES[0], ("device", ""), kind=kind)
    assert_refused(archive, "'device' is a device or a pipe")


@pytest.mark.parametrize("mode", [0o120777, 0o020666])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, mode: int) -> None:
    assert_refused(zip_of(tmp_path / "a.zip", ("link", b"/etc"), mode=mode), "link or a device")


@KINDS
def test_bombs_are_refused(tmp_path: Path, name: str) -> None:
    archive = pack(tmp_path / name, ("one", bytes(600)), ("two", bytes(600)))
    assert_refused(archive, "'two' brings the content to 1,200 bytes", limit_bytes=1000)
    assert extract(archive, tmp_path / "fits", limit_bytes=1200).is_dir()


@KINDS
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
def test_truncated_archives_are_named(tmp_path: Path, name: str, kept: float) -> None:
    noise = random.Random(0).randbytes(30_000)
    archive = pack(tmp_path / name, ("one", noise), ("two", noise))
    content = archive.read_bytes()
    # A tar ends in padding, which may be lost without harm.
    content = content.rstrip(b"\0") if archive.suffix == ".tar" else content
    archive.write_bytes(content[: int(kept * len(content))])
    assert_refused(archive, r"damaged, cut short or no archive.* Delete it")


def test_tar_cut_between_members_is_named(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar", ("one", bytes([1]) * 1024), ("two", b"2"))
    archive.write_bytes(archive.read_bytes()[: 512 + 1024])
    assert_refused(archive, "the end mark is missing")


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_flipped_bits_are_named(tmp_path: Path, name: str) -> None:
    archive = pack(tmp_path / name, ("one", random.Random(0).randbytes(30_000)))
    content = bytearray(archive.read_bytes())
    content[20_000] ^= 1
    archive.write_bytes(content)
    assert_refused(archive, "damaged")


def test_garbage_in_place_of_a_header_is_named(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar", ("one", b"1"), ("two", b"2"))
    content = archive.read_bytes()
    for name, opened in (("a.tar", open), ("a.tar.gz", gzip.open)):
        with opened(tmp_path / name, "wb") as file:
            file.write(content[:1024] + b"x" * 512 + content[1536:])
        assert_refused(tmp_path / name, "the end mark is missing")


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
@KINDS
def test_files_have_the_permissions_of_the_umask(
    tmp_path: Path, name: str, mask: int, mode: int
) -> None:
    archive = pack(tmp_path / name, *FILES)
    before = os.umask(mask)
    try:
        folder = extract(archive, tmp_path / "out")
    finally:
        os.umask(before)
    assert (folder / "top/one.txt").stat().st_mode & 0o777 == mode
    assert (folder / "top").stat().st_mode & 0o777 == 0o777 & ~mask


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, **fields: Any) -> bytes:
    """One header block, whatever its size says."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def tar_from(path: Path, *parts: bytes) -> Path:
    """Write blocks as a packed tar, with its end mark."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        for part in (*parts, bytes(1024)):
            file.write(part + bytes(-len(part) % 512))
    return path


LONG = 20_000_000
BOMBS: dict[str, list[bytes]] = {
    "long name": [header("x", tarfile.GNUTYPE_LONGNAME, LONG), b"a" * LONG, header("one")],
    "long link": [header("x", tarfile.GNUTYPE_LONGLINK, LONG), b"a" * LONG, header("one")],
    "settings": [header("x", tarfile.XHDTYPE, LONG), b"11 a=%05d\n" % 1 * (LONG // 11)],
    "settings of all": [header("x", tarfile.XGLTYPE, LONG), b"11 a=%05d\n" % 1 * (LONG // 11)],
    "chain of names": [header("x", tarfile.GNUTYPE_LONGNAME, 1), b"a" * 512] * 20_000,
    "chain of settings": [header("x", tarfile.XHDTYPE, 10), b"10 a=0000\n" + bytes(502)] * 20_000,
    "holes": [header("x", tarfile.GNUTYPE_SPARSE), b"\0" * 504 + b"\x01" + bytes(7)] * 20_000,
    "tail": [header("one"), bytes(LONG)],
}
BOMBS["settings little by little"] = [
    part
    for n in range(100)
    for part in (
        header("x", tarfile.XGLTYPE, 13_000),
        b"".join(b"13 %05d=%03d\n" % (1000 * n + i, i) for i in range(1000)),
        header(f"one{n}"),
    )
]


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_of_headers_are_refused_with_little_memory(tmp_path: Path, name: str) -> None:
    archive = tar_from(tmp_path / "a.tgz", *BOMBS[name])
    tracemalloc.start()
    try:
        assert_refused(archive, r"a.tgz(: .*(header of|settings|holes|goes on)| is damaged)")
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [-1, -512, 1 << 62, 1 << 80])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_sizes_that_cannot_be_are_refused(tmp_path: Path, kind: bytes, size: int) -> None:
    blocks = (header("zero"), header("one", kind, size), bytes(512), header("two"))
    assert_refused(tar_from(tmp_path / "a.tgz", *blocks), "a.tgz")


@pytest.mark.parametrize("mtime", [-1, 1 << 62, 1 << 80])
def test_times_that_cannot_be_are_left_out(tmp_path: Path, mtime: int) -> None:
    archive = tar_from(tmp_path / "a.tgz", header("one", mtime=mtime))
    assert (extract(archive, tmp_path / "out") / "one").read_bytes() == b""


@KINDS
@pytest.mark.parametrize("same", [True, False])
def test_too_many_members_are_refused(tmp_path: Path, name: str, same: bool) -> None:
    members = [("one" if same else f"{n}", b"") for n in range(30)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        archive = pack(tmp_path / name, *members)
    assert_refused(archive, "is one of more than 29 files and folders", limit_members=29)
    assert extract(archive, tmp_path / "fits", limit_members=30).is_dir()


@KINDS
def test_folders_count_as_members(tmp_path: Path, name: str) -> None:
    archive = pack(tmp_path / name, *[(f"{n}/a/b/c", b"") for n in range(10)])
    assert_refused(archive, "is one of more than 39 files", limit_members=39)
    assert extract(archive, tmp_path / "fits", limit_members=40).is_dir()


def test_too_many_members_for_anybody_are_refused(tmp_path: Path) -> None:
    members = [(str(n), b"") for n in range(20_001)]
    assert_refused(pack(tmp_path / "a.zip", *members), "is one of more than 20,000 files")


@KINDS
@pytest.mark.parametrize("depth", [33, 5000])
def test_deep_folders_are_refused(tmp_path: Path, name: str, depth: int) -> None:
    archive = pack(tmp_path / name, ("a/" * (depth - 1) + "a", b""))
    assert_refused(archive, "in more than 32 folders within each other|header of more than")
    fits = pack(tmp_path / f"fits-{name}", ("a/" * 31 + "a", b""))
    assert extract(fits, tmp_path / "fits").is_dir()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_a_zip_are_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as bundle:
        bundle.writestr("one", CONTENT)
    assert_refused(tmp_path / "a.zip", f"'one' is packed by method {method}")


def test_a_zip_with_a_long_list_is_refused_with_little_memory(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as bundle:
        for n in range(200):
            info = zipfile.ZipInfo(f"{n}")
            info.comment = bytes(60_000)
            bundle.writestr(info, b"")
    tracemalloc.start()
    try:
        assert_refused(tmp_path / "a.zip", r"a list of content of more than 4,194,304 bytes")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["a.tar", "a.tgz", "a.zip"])
def test_whatever_is_damaged_is_named(tmp_path: Path, name: str) -> None:
    archive = pack(tmp_path / name, *FILES[1:], ("three", b"3" * 700))
    content, draw = archive.read_bytes(), random.Random(0)
    if name == "a.tgz":
        content = gzip.decompress(content)
    errors = []
    for number in range(200):
        damaged = bytearray(content.rstrip(b"\0") + bytes(1024) if name != "a.zip" else content)
        for _ in range(draw.choice([1, 2, 5])):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        archive.write_bytes(gzip.compress(damaged, 1) if name == "a.tgz" else damaged)
        try:
            extract(archive, tmp_path / str(number))
        except DownloadError as error:
            errors.append(str(error))
    assert len(errors) > 50
    assert all(str(archive) in error for error in errors)


def test_absent_archive_is_named(tmp_path: Path) -> None:
    assert_refused(tmp_path / "a.zip", "No such file.*by hand")
