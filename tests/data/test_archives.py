"""Archives are unpacked whole or not at all, and never outside their folder."""

import io
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from combgrad.data import archives as module
from combgrad.data.archives import extract
from combgrad.data.download import DownloadError

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

    def slow(source: Path, content: Path, limit_bytes: int) -> None:
        monkeypatch.undo()
        extract(source, tmp_path / "out", limit_bytes=limit_bytes)
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


def test_absent_archive_is_named(tmp_path: Path) -> None:
    assert_refused(tmp_path / "a.zip", "No such file.*by hand")
