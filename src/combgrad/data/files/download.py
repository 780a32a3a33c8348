"""Downloads that survive a cut, and never mix two versions of a file."""

import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import stat
import time
import urllib.error
from dataclasses import asdict, dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO

from combgrad.data.files.meter import meter
from combgrad.data.files.web import NETWORK_ERRORS, DownloadError, ask, check_address, request_for
from combgrad.errors import redacted
from combgrad.files.locking import locked
from combgrad.files.writing import move_into_place, write_text_atomically

CHUNK_BYTES = 1 << 18
LIMIT_BYTES = 10 * 10**9
FIRST_PAUSE_SECONDS = 1.0

#: Dates count in seconds; one that old names one version of a file (RFC 9110, 8.8.2.2).
SETTLED_SECONDS = 60.0

_HEX_DIGITS = {"md5": 32, "sha256": 64}
_RANGE_NOT_SATISFIABLE = 416
_WORTH_RETRYING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class _Remote:
    """The version of a file that a server offers; "" and None stand for what it did not say.

    The url is redacted: this is written beside the part. Tokens change from call to call anyway.
    """

    url: str
    validator: str
    total: int | None


@dataclass(frozen=True)
class _Task:
    """What is to be fetched, and where to."""

    url: str
    target: Path
    checksum: str | None
    limit_bytes: int
    progress: bool

    @property
    def part(self) -> Path:
        """What has arrived so far."""
        return _beside(self.target, ".part")

    def failure(self, problem: str, remedy: str = "") -> DownloadError:
        """The error to raise; neither password nor query of an address is told."""
        by_hand = f"Try again later, or download it by hand and put it at {self.target}."
        told = f"{self.url} as {self.target}: {problem}. {remedy or by_hand}"
        return DownloadError(redacted(told))


def download(
    url: str,
    target: Path,
    *,
    checksum: str | None = None,
    limit_bytes: int = LIMIT_BYTES,
    progress: bool = True,
    retries: int = 4,
) -> Path:
    """Fetch `url` into the file `target`, resuming what an earlier call began; return `target`.

    A target that is there already is verified and not fetched again. `checksum` is `md5:<hex>` or
    `sha256:<hex>`; without one the first copy is trusted, its sha256 is kept in
    `<target>.sha256`, and every later call must match it. Several processes may call this at once.
    A cut or a busy server is retried `retries` times with growing pauses; a cut is resumed only
    where the server names the version of the file, by an ETag or a date, and else starts over. No
    more than `limit_bytes` are taken. A name and password in `url` are sent to its own host only,
    and told nobody. Raises DownloadError.
    """
    task = _Task(url, Path(target), checksum, limit_bytes, progress)
    check_address(url)
    try:
        if not task.target.exists():
            with locked(task.target):
                # Another process may have finished while this one waited for the lock.
                if not task.target.exists():
                    _download_new(task, retries)
                    return task.target
        _verify(task.target, task)
    except OSError as error:
        raise task.failure(str(error)) from error
    return task.target


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _download_new(task: _Task, retries: int) -> None:
    _expected(task)  # an unusable one is better refused before the download
    _fetch(task, retries)
    try:
        _verify(task.part, task)
    except DownloadError:
        _discard(task.part)
        raise
    move_into_place(task.part, task.target)
    _discard(task.part)


def _expected(task: _Task) -> tuple[str, str] | None:
    """The algorithm and digest of the target; None where neither given nor recorded."""
    record, checksum = _beside(task.target, ".sha256"), task.checksum
    if checksum is None:
        if not record.exists():
            return None
        checksum = "sha256:" + record.read_text(encoding="utf-8").partition(" ")[0].strip()
    algorithm, _, digest = checksum.lower().partition(":")
    if not re.fullmatch(f"[0-9a-f]{{{_HEX_DIGITS.get(algorithm, 0)}}}", digest) or not digest:
        remedy = f"Write md5:<hex> or sha256:<hex>; if it comes from {record}, delete that file."
        raise task.failure(f"{checksum!r} is no checksum", remedy)
    return algorithm, digest


def _verify(file: Path, task: _Task) -> None:
    """Compare `file` with what the target must be, or record its sha256 where nothing is known."""
    target, expected = task.target, _expected(task)
    algorithm = expected[0] if expected else "sha256"
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, algorithm).hexdigest()
    record = _beside(target, ".sha256")
    if expected is None:
        line = f"{digest}  {target.name}\n"
        write_text_atomically(record, line)
    elif digest != expected[1]:
        origin = f" recorded in {record}" if task.checksum is None else ""
        remedy = f"Delete {target} if it exists and try again, or put a right copy there."
        if task.checksum is None:
            remedy += f" If the publisher changed the file on purpose, delete {record} too."
        raise task.failure(f"its {algorithm} is {digest}, not the {expected[1]}{origin}", remedy)


def _fetch(task: _Task, retries: int) -> None:
    """Try until the part is complete."""
    problem = ""
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            _try_once(task)
            return
        except (http.client.InvalidURL, UnicodeError):
            # Its words hold parts of the address that are not to be told.
            raise task.failure("the address cannot be asked for, check its characters") from None
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"the server answered {error.code} {error.reason}"
            if error.code == _RANGE_NOT_SATISFIABLE:
                _discard(task.part)
            elif error.code not in _WORTH_RETRYING:
                raise task.failure(problem) from error
        except NETWORK_ERRORS as error:
            problem = f"{type(error).__name__}: {error}"
    remedy = "Call again to go on where it stopped, or download it by hand and put it at "
    raise task.failure(f"{problem}, after {retries + 1} attempt(s)", f"{remedy}{task.target}.")


def _try_once(task: _Task) -> None:
    known, size = _resumable(task)
    if known and size and size == known.total:
        return
    request = request_for(task.url)
    if known and size:
        request.add_header("Range", f"bytes={size}-")
        request.add_header("If-Range", known.validator)
    with ask(request) as reply:
        start, remote = _describe(reply, task.url)
        if start and (start != size or remote != known):
            _discard(task.part)
            raise http.client.HTTPException("the file changed on the server; starting again")
        if not start:
            # Description before bytes: bytes must never be taken for those of another version.
            _discard(task.part)
            record = json.dumps(asdict(remote))
            write_text_atomically(_beside(task.part, ".json"), record)
        _receive(reply, task, remote)


def _resumable(task: _Task) -> tuple[_Remote | None, int]:
    """The version that the part belongs to, and how much of it there is; else None and 0.

    A part of no known version is not gone on with, for nothing would tell that another follows.
    """
    try:
        known = _Remote(**json.loads(_beside(task.part, ".json").read_text(encoding="utf-8")))
        found = task.part.lstat()
    except (OSError, ValueError, TypeError):
        return None, 0
    same = known.url == redacted(task.url) and stat.S_ISREG(found.st_mode)
    whole = found.st_size == known.total
    named = isinstance(known.validator, str) and known.validator.isprintable()
    return (known, found.st_size) if same and named and (known.validator or whole) else (None, 0)


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _beside(part, ".json").unlink(missing_ok=True)


def _describe(reply: http.client.HTTPResponse, url: str) -> tuple[int, _Remote]:
    """Where the body of a reply starts in the file, and which version of the file it is of."""
    url, tag = redacted(url), reply.headers.get("ETag", "")
    # A weak tag does not promise equal bytes, and If-Range must not carry one (RFC 9110, 13.1.5).
    validator = _settled_date(reply.headers) if tag[:2] in ("", "W/") else tag
    if reply.status != http.client.PARTIAL_CONTENT:
        length = reply.headers.get("Content-Length", "")
        return 0, _Remote(url, validator, int(length) if _is_size(length) else None)
    place = re.fullmatch(
        r"bytes (\d{1,18})-\d+/(\d{1,18}|\*)", reply.headers.get("Content-Range", "")
    )
    if place is None:
        raise http.client.HTTPException("the server sent a part without saying which")
    return int(place[1]), _Remote(url, validator, None if place[2] == "*" else int(place[2]))


def _settled_date(headers: Message) -> str:
    """When the file was last changed; "" where it may have changed again within that second."""
    changed = headers.get("Last-Modified", "")
    try:
        age = parsedate_to_datetime(headers.get("Date", "")) - parsedate_to_datetime(changed)
        return changed if age.total_seconds() >= SETTLED_SECONDS else ""
    except (ValueError, TypeError):
        return ""


def _is_size(text: str) -> bool:
    return re.fullmatch(r"\d{1,18}", text) is not None


def _receive(reply: http.client.HTTPResponse, task: _Task, remote: _Remote) -> None:
    """Append the body of a reply to the part and flush it to disk."""
    total = remote.total
    most = task.limit_bytes if total is None else total
    if total is not None:
        _check_room(task, total)
    with _open_part(task.part) as file:
        size = os.fstat(file.fileno()).st_size
        with meter(task.target.name, size, total, task.progress) as advance:
            while chunk := reply.read(min(CHUNK_BYTES, most - size + 1)):
                size += len(chunk)
                if size > most:
                    break
                file.write(chunk)
                advance(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    if size > most and total is None:
        raise _too_large(task, f"goes on after {most:,} bytes")
    if size > most:
        _discard(task.part)
    if total is not None and size != total:
        raise http.client.HTTPException(f"the connection closed at {size} of {total} bytes")


def _check_room(task: _Task, total: int) -> None:
    there = task.part.stat().st_size if task.part.exists() else 0
    needed, free = total - there, shutil.disk_usage(task.part.parent).free
    if total > task.limit_bytes:
        raise _too_large(task, f"has {total:,} bytes, more than {task.limit_bytes:,}")
    if needed > free:
        problem = f"{needed:,} bytes are needed and {free:,} free on the disk"
        remedy = f"Free some space, or choose another folder than {task.target.parent}."
        raise task.failure(problem, remedy)


def _too_large(task: _Task, problem: str) -> DownloadError:
    _discard(task.part)
    remedy = f"If that is right, download it by hand and put it at {task.target}."
    return task.failure(f"what the server sends {problem}", remedy)


def _open_part(part: Path) -> IO[bytes]:
    """The part, to append to: a private file of its own, reached through no link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.fdopen(os.open(part, flags, 0o600), "ab")
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        file.close()
        raise OSError(errno.EMLINK, f"{part} is no file of its own; remove it")
    os.fchmod(file.fileno(), 0o600)
    return file
