"""Downloads from a local server that misbehaves on request."""

import base64
import functools
import hashlib
import json
import multiprocessing
import os
import shutil
import sys
import threading
import time
import traceback
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from combgrad.data.files import meter
from combgrad.data.files.download import DownloadError, download

CONTENT = bytes(range(256)) * 4096
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
fetch = functools.partial(download, progress=False)


@pytest.fixture
def server(server: Any) -> Any:
    """A server that offers CONTENT."""
    server.handler.content = CONTENT
    return server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a download goes, in a folder that is not there yet."""
    return tmp_path / "sub" / "set.tar.gz"


def visible(target: Path) -> list[str]:
    """The names beside a target, without the lock."""
    return sorted(path.name for path in target.parent.iterdir() if path.name[0] != ".")


def test_whole_file_arrives_with_its_record(server: Any, target: Path) -> None:
    assert fetch(server.url, target) == target
    assert target.read_bytes() == CONTENT
    record = target.with_name("set.tar.gz.sha256").read_text()
    assert record == f"{SHA256.removeprefix('sha256:')}  set.tar.gz\n"
    assert visible(target) == ["set.tar.gz", "set.tar.gz.sha256"]


@pytest.mark.parametrize("digest", [SHA256, "md5:" + hashlib.md5(CONTENT).hexdigest().upper()])
def test_given_checksum_is_compared(server: Any, target: Path, digest: str) -> None:
    fetch(server.url, target, checksum=digest)
    assert visible(target) == ["set.tar.gz"]


def test_resumes_after_a_cut(server: Any, target: Path) -> None:
    server.plan += ["cut", "cut"]
    fetch(server.url, target, checksum=SHA256)
    assert target.read_bytes() == CONTENT
    half, more = len(CONTENT) // 2, len(CONTENT) * 3 // 4
    assert [request.get("Range") for request in server.seen] == [
        None,
        f"bytes={half}-",
        f"bytes={more}-",
    ]
    assert server.seen[1]["If-Range"] == '"one"'


def test_later_call_resumes_what_an_earlier_one_left(server: Any, target: Path) -> None:
    server.plan += ["cut"]
    with pytest.raises(DownloadError, match=r"closed at .* Call again to go on"):
        fetch(server.url, target, retries=0)
    assert not target.exists()
    fetch(server.url, target)
    assert server.seen[1]["Range"] == f"bytes={len(CONTENT) // 2}-"
    assert target.read_bytes() == CONTENT


def test_complete_part_is_not_fetched_again(server: Any, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("set.tar.gz.part").write_bytes(CONTENT)
    remote = {"url": server.url, "validator": '"one"', "total": len(CONTENT)}
    target.with_name("set.tar.gz.part.json").write_text(json.dumps(remote))
    fetch(server.url, target, checksum=SHA256)
    assert target.read_bytes() == CONTENT
    assert server.seen == []


OTHER_URL = '{"url": "http://127.0.0.1/other", "validator": "", "total": 100}'


@pytest.mark.parametrize("record", [None, "{", '{"url": 1}', OTHER_URL])
def test_part_of_unknown_origin_is_not_resumed(
    server: Any, target: Path, record: str | None
) -> None:
    target.parent.mkdir()
    target.with_name("set.tar.gz.part").write_bytes(b"x" * 100)
    if record is not None:
        target.with_name("set.tar.gz.part.json").write_text(record)
    fetch(server.url, target)
    assert "Range" not in server.seen[0]
    assert target.read_bytes() == CONTENT


def test_server_without_ranges_starts_again(server: Any, target: Path) -> None:
    server.plan += ["cut", "ignore range"]
    fetch(server.url, target)
    assert "Range" in server.seen[1]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("second", ["", "ignore if-range"])
def test_file_changed_on_the_server_starts_again(server: Any, target: Path, second: str) -> None:
    server.plan += ["cut"]
    with pytest.raises(DownloadError):
        fetch(server.url, target, retries=0)
    server.plan += [second]
    server.handler.content, server.handler.tag = CONTENT[::-1] + b"more", '"two"'
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT[::-1] + b"more"


@pytest.mark.parametrize("tag", ["", 'W/"one"'])
@pytest.mark.parametrize("more", [b"", b"more"])
def test_a_cut_file_of_no_known_version_starts_again(
    server: Any, target: Path, tag: str, more: bytes
) -> None:
    server.handler.tag = tag
    server.plan += ["cut"]
    with pytest.raises(DownloadError):
        fetch(server.url, target, retries=0)
    server.handler.content = CONTENT[::-1] + more
    fetch(server.url, target)
    assert not {"Range", "If-Range"} & server.seen[1].keys()
    assert target.read_bytes() == CONTENT[::-1] + more


@pytest.mark.parametrize(
    ("age", "resumed"), [(3600, True), (61, True), (0, False), (-3600, False), (None, False)]
)
def test_a_date_names_a_version_once_it_is_settled(
    server: Any, target: Path, age: int | None, resumed: bool
) -> None:
    server.handler.tag = ""
    server.handler.changed = "never" if age is None else formatdate(time.time() - age, usegmt=True)
    server.plan += ["cut"]
    fetch(server.url, target)
    assert server.seen[1].get("If-Range") == (server.handler.changed if resumed else None)
    assert target.read_bytes() == CONTENT


def test_a_file_of_another_date_starts_again(server: Any, target: Path) -> None:
    server.handler.tag = ""
    server.handler.changed = formatdate(1e9, usegmt=True)
    server.plan += ["cut"]
    with pytest.raises(DownloadError):
        fetch(server.url, target, retries=0)
    server.handler.content = CONTENT[::-1]
    server.handler.changed = formatdate(1e9 + 1, usegmt=True)
    fetch(server.url, target)
    assert "Range" in server.seen[1]
    assert target.read_bytes() == CONTENT[::-1]


def test_a_server_that_forgets_the_version_starts_again(server: Any, target: Path) -> None:
    server.plan += ["cut"]
    with pytest.raises(DownloadError):
        fetch(server.url, target, retries=0)
    server.handler.content, server.handler.tag = CONTENT[::-1], ""
    server.plan += ["ignore if-range"]
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT[::-1]


def test_unsatisfiable_range_starts_again(server: Any, target: Path) -> None:
    server.plan += ["cut", "416"]
    fetch(server.url, target)
    assert "Range" not in server.seen[2]
    assert target.read_bytes() == CONTENT


def test_busy_server_is_asked_again(server: Any, target: Path) -> None:
    server.plan += ["503", "429", "no length"]
    fetch(server.url, target)
    assert len(server.seen) == 3
    assert target.read_bytes() == CONTENT


def test_attempts_are_counted(server: Any, target: Path) -> None:
    server.plan += ["503"] * 9
    with pytest.raises(DownloadError, match=r"answered 503 .* after 3 attempt"):
        fetch(server.url, target, retries=2)
    assert len(server.seen) == 3


def test_a_body_without_end_is_left_at_the_limit(server: Any, target: Path) -> None:
    server.plan += ["endless"]
    with pytest.raises(DownloadError, match=r"goes on after 3,000,000 bytes.*by hand"):
        fetch(server.url, target, limit_bytes=3_000_000)
    assert len(server.seen) == 1
    assert visible(target) == []


def test_a_body_longer_than_promised_is_not_kept(server: Any, target: Path) -> None:
    server.plan += ["cut"]
    with pytest.raises(DownloadError):
        fetch(server.url, target, retries=0)
    server.plan += ["longer"]
    with pytest.raises(DownloadError, match=f"closed at {len(CONTENT) + 1} of {len(CONTENT)}"):
        fetch(server.url, target, retries=0)
    assert visible(target) == []
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT


def test_a_file_over_the_limit_is_refused_before_its_body(server: Any, target: Path) -> None:
    with pytest.raises(DownloadError, match=r"has 1,048,576 bytes, more than 1,000"):
        fetch(server.url, target, limit_bytes=1000)
    assert len(server.seen) == 1
    assert visible(target) == []
    assert fetch(server.url, target, limit_bytes=len(CONTENT)).read_bytes() == CONTENT


def test_absent_file_is_named_with_the_remedy(server: Any, target: Path) -> None:
    server.plan += ["404"]
    with pytest.raises(DownloadError, match="404") as caught:
        fetch(server.url, target)
    assert server.url in str(caught.value)
    assert f"download it by hand and put it at {target}" in str(caught.value)
    assert len(server.seen) == 1
    assert visible(target) == []


def test_no_network_is_named_with_the_remedy(server: Any, target: Path) -> None:
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(DownloadError, match=f"refused.*put it at {target}"):
        fetch(server.url, target, retries=1)
    assert not target.exists()


def test_wrong_checksum_removes_the_part(server: Any, target: Path) -> None:
    with pytest.raises(DownloadError, match=r"its md5 is .* not the 0000"):
        fetch(server.url, target, checksum="md5:" + "0" * 32)
    assert visible(target) == []


@pytest.mark.parametrize("digest", ["sha256:12", "md5", "crc:00", "", "md5:" + "g" * 32])
def test_unusable_checksum_is_refused_before_the_download(
    server: Any, target: Path, digest: str
) -> None:
    with pytest.raises(DownloadError, match="is no checksum"):
        fetch(server.url, target, checksum=digest)
    assert server.seen == []


def test_recorded_checksum_is_verified_later(server: Any, target: Path) -> None:
    fetch(server.url, target)
    fetch(server.url, target)
    assert len(server.seen) == 1
    target.write_bytes(CONTENT + b"tampered")
    with pytest.raises(DownloadError, match=r"not the .* recorded in .*set\.tar\.gz\.sha256"):
        fetch(server.url, target)
    assert target.exists()


def test_record_outlives_the_file(server: Any, target: Path) -> None:
    fetch(server.url, target)
    target.unlink()
    server.handler.content = CONTENT[::-1]
    with pytest.raises(DownloadError, match="If the publisher changed the file on purpose"):
        fetch(server.url, target)
    assert visible(target) == ["set.tar.gz.sha256"]


def test_damaged_record_is_named(server: Any, target: Path) -> None:
    fetch(server.url, target)
    target.with_name("set.tar.gz.sha256").write_text("what\n")
    with pytest.raises(DownloadError, match=r"if it comes from .*\.sha256, delete that file"):
        fetch(server.url, target)


def test_full_disk_is_found_before_writing(
    server: Any, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(target.parent.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    with pytest.raises(DownloadError, match="1,048,576 bytes are needed and 1,000 free"):
        fetch(server.url, target)
    assert not target.exists()
    assert not target.with_name("set.tar.gz.part").exists()


def test_folder_that_cannot_be_made_is_named(server: Any, tmp_path: Path) -> None:
    (tmp_path / "sub").write_text("a file")
    with pytest.raises(DownloadError, match=r"sub/set\.tar\.gz"):
        fetch(server.url, tmp_path / "sub" / "set.tar.gz")


@pytest.mark.parametrize("url", ["ftp://x/y", "file:///etc/passwd", "data:,x", "/etc/passwd"])
def test_other_schemes_are_refused(url: str, target: Path) -> None:
    with pytest.raises(DownloadError, match="is refused"):
        fetch(url, target)
    assert not target.parent.exists()


def test_redirects_are_followed_to_the_web_only(server: Any, target: Path) -> None:
    server.plan += [f"to {server.url}x", "", "to ftp://127.0.0.1/x"]
    fetch(server.url, target)
    assert target.read_bytes() == CONTENT
    with pytest.raises(DownloadError, match="'ftp' is refused"):
        fetch(server.url, target.with_name("other"))


def test_a_lock_that_is_a_link_is_not_followed(server: Any, target: Path) -> None:
    target.parent.mkdir()
    (target.parent / "precious").write_text("precious")
    target.with_name(".set.tar.gz.lock").symlink_to("precious")
    with pytest.raises(DownloadError, match=r"\.set\.tar\.gz\.lock is a link"):
        fetch(server.url, target)
    assert (target.parent / "precious").read_text() == "precious"


@pytest.mark.parametrize("make", ["symlink_to", "hardlink_to"])
@pytest.mark.parametrize("known", [True, False])
def test_a_part_that_is_a_link_is_not_written_through(
    server: Any, target: Path, make: str, known: bool
) -> None:
    target.parent.mkdir()
    precious, part = target.parent / "precious", target.with_name("set.tar.gz.part")
    precious.write_bytes(CONTENT[:100])
    getattr(part, make)(precious)
    if known:
        remote = {"url": server.url, "validator": '"one"', "total": len(CONTENT)}
        target.with_name("set.tar.gz.part.json").write_text(json.dumps(remote))
    if known and make == "hardlink_to":
        with pytest.raises(DownloadError, match=r"set\.tar\.gz\.part is no file of its own"):
            fetch(server.url, target)
    else:
        assert fetch(server.url, target).read_bytes() == CONTENT
    assert precious.read_bytes() == CONTENT[:100]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_parts_are_private_and_files_as_the_umask_has_them(
    server: Any, target: Path, mask: int, mode: int
) -> None:
    before = os.umask(mask)
    try:
        server.plan += ["cut"]
        with pytest.raises(DownloadError):
            fetch(server.url, target, retries=0)
        part = target.with_name("set.tar.gz.part")
        assert part.stat().st_mode & 0o777 == 0o600
        assert fetch(server.url, target).stat().st_mode & 0o777 == mode
    finally:
        os.umask(before)


def secret(server: Any, name: str = "127.0.0.1") -> str:
    """The server's address with a password and a token."""
    host = server.url.replace("127.0.0.1", f"me:hid%64en@{name}")
    return f"{host}?token=hidden#hidden"


def test_a_name_and_password_go_to_their_own_host_only(server: Any, target: Path) -> None:
    elsewhere = server.url.replace("127.0.0.1", "localhost")
    server.plan += [f"to {elsewhere}"]
    fetch(secret(server), target)
    expected = "Basic " + base64.b64encode(b"me:hidden").decode()
    assert [request.get("Authorization") for request in server.seen] == [expected, None]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("plan", [["404"], ["cut"], ["503"], ["to ftp://me:hidden@x/?hidden"]])
def test_no_secret_of_an_address_is_written(server: Any, target: Path, plan: list[str]) -> None:
    server.plan += plan
    with pytest.raises(DownloadError) as caught:
        fetch(secret(server), target, retries=0)
    assert "hid" not in str(caught.value)
    assert "//127.0.0.1" in str(caught.value) or "//x/" in str(caught.value)
    for path in target.parent.iterdir():
        assert b"hid" not in path.read_bytes()


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hidden@[::1/x",
        "https://me:hid/den@host/x",
        "http://host/x y?hidden",
        "me:hidden@host/x",
        "hidden",
        "https://:hidden@/x",
        "ftp://me:hidden@host/x?hidden",
    ],
)
def test_no_secret_of_an_unusable_address_is_told(url: str, target: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch(url, target, retries=0)
    shown = "".join(traceback.format_exception(caught.value)).replace(Path(__file__).name, "")
    assert "hid" not in str(caught.value)
    assert "hidden" not in shown


def test_another_token_resumes_the_same_file(server: Any, target: Path) -> None:
    server.plan += ["cut"]
    with pytest.raises(DownloadError):
        fetch(server.url + "?token=1", target, retries=0)
    fetch(server.url + "?token=2", target)
    assert server.seen[1]["Range"] == f"bytes={len(CONTENT) // 2}-"
    assert target.read_bytes() == CONTENT


def test_threads_download_once(server: Any, target: Path) -> None:
    server.plan += ["wait"]
    threads = [threading.Thread(target=fetch, args=(server.url, target)) for _ in range(4)]
    for thread in threads:
        thread.start()
    server.handler.barrier.set()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert len(server.seen) == 1


def test_two_processes_download_once(server: Any, target: Path) -> None:
    server.plan += ["wait"]
    start = multiprocessing.get_context("spawn").Process
    processes = [
        start(target=download, args=(server.url, target), kwargs={"progress": False})
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    server.handler.barrier.set()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert target.read_bytes() == CONTENT
    assert len(server.seen) == 1


def test_bar_shows_the_name(server: Any, target: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    download(server.url, target)
    assert "set.tar.gz: 100%" in capsys.readouterr().err


def test_lines_stand_in_for_the_bar(
    server: Any,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(meter, "REPORT_SECONDS", 0.0)
    download(server.url, target)
    assert capsys.readouterr().err.splitlines()[-1] == "set.tar.gz: 1.0 of 1.0 MB"
