"""Downloads that survive a cut, and archives that cannot write outside their folder."""

import contextlib
import hashlib
import http.client
import importlib
import json
import os
import re
import shutil
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from combgrad.errors import CombgradError
from combgrad.files import locked, write_text_atomically

CHUNK_BYTES = 1 << 18
TIMEOUT_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 1.0
REPORT_SECONDS = 5.0

_HEX_DIGITS = {"md5": 32, "sha256": 64}
_RANGE_NOT_SATISFIABLE = 416
_WORTH_RETRYING = frozenset({408, 425, 429, 500, 502, 503, 504})
# Other OSErrors come from the disk, and trying again would not help those.
_NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    TimeoutError,
    ConnectionError,
    ssl.SSLError,
)


class DownloadError(CombgradError, RuntimeError):
    """A file that could not be fetched, verified or unpacked."""


@dataclass(frozen=True)
class _Remote:
    """The version of a file that a server offers; "" and None stand for what it did not say."""

    url: str
    validator: str
    total: int | None


class _WebRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only; the standard handler also follows them to ftp."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:
        _check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(
    url: str,
    target: Path,
    *,
    checksum: str | None = None,
    progress: bool = True,
    retries: int = 4,
) -> Path:
    """Fetch `url` into the file `target`, resuming what an earlier call began; return `target`.

    A target that is there already is verified and not fetched again. `checksum` is `md5:<hex>` or
    `sha256:<hex>`; without one the first copy is trusted, its sha256 is kept in
    `<target>.sha256`, and every later call must match it. Several processes may call this at once.
    A cut or a busy server is retried `retries` times with growing pauses. Raises DownloadError.
    """
    target = Path(target)
    _check_scheme(url)
    try:
        if not target.exists():
            with locked(target):
                # Another process may have finished while this one waited for the lock.
                if not target.exists():
                    _download_new(url, target, checksum, progress, retries)
                    return target
        _verify(target, url, target, checksum)
    except OSError as error:
        raise _failure(url, target, str(error)) from error
    return target


def _failure(url: str, target: Path, problem: str, remedy: str = "") -> DownloadError:
    remedy = remedy or f"Try again later, or download it by hand and put it at {target}."
    return DownloadError(f"{url} as {target}: {problem}. {remedy}")


def _check_scheme(url: str) -> None:
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme not in ("http", "https"):
        raise DownloadError(
            f"{url}: the scheme {scheme!r} is refused. Give an http or https address, or put the "
            f"file where it is looked for by hand."
        )


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _download_new(
    url: str, target: Path, checksum: str | None, progress: bool, retries: int
) -> None:
    part = _beside(target, ".part")
    _expected(checksum, url, target)  # an unusable one is better refused before the download
    _fetch(url, part, target, progress, retries)
    try:
        _verify(part, url, target, checksum)
    except DownloadError:
        _discard(part)
        raise
    part.replace(target)
    _discard(part)


def _expected(checksum: str | None, url: str, target: Path) -> tuple[str, str] | None:
    """The algorithm and digest `target` must have; None where neither given nor recorded."""
    record = _beside(target, ".sha256")
    if checksum is None:
        if not record.exists():
            return None
        checksum = "sha256:" + record.read_text(encoding="utf-8").partition(" ")[0].strip()
    algorithm, _, digest = checksum.lower().partition(":")
    if not re.fullmatch(f"[0-9a-f]{{{_HEX_DIGITS.get(algorithm, 0)}}}", digest) or not digest:
        raise _failure(
            url,
            target,
            f"{checksum!r} is no checksum",
            f"Write md5:<hex> or sha256:<hex>; if it comes from {record}, delete that file.",
        )
    return algorithm, digest


def _verify(file: Path, url: str, target: Path, checksum: str | None) -> None:
    """Compare `file` with what `target` must be, or record its sha256 where nothing is known."""
    expected = _expected(checksum, url, target)
    algorithm = expected[0] if expected else "sha256"
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, algorithm).hexdigest()
    record = _beside(target, ".sha256")
    if expected is None:
        line = f"{digest}  {target.name}\n"
        write_text_atomically(record, line)
    elif digest != expected[1]:
        origin = f" recorded in {record}" if checksum is None else ""
        remedy = f"Delete {target} if it exists and try again, or put a right copy there."
        if checksum is None:
            remedy += f" If the publisher changed the file on purpose, delete {record} too."
        problem = f"its {algorithm} is {digest}, not the {expected[1]}{origin}"
        raise _failure(url, target, problem, remedy)


def _fetch(url: str, part: Path, target: Path, progress: bool, retries: int) -> None:
    """Try until `part` is complete."""
    problem = ""
    for attempt in range(retries + 1):
        if attempt:
            time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            _try_once(url, part, target, progress)
            return
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"the server answered {error.code} {error.reason}"
            if error.code == _RANGE_NOT_SATISFIABLE:
                _discard(part)
            elif error.code not in _WORTH_RETRYING:
                raise _failure(url, target, problem) from error
        except _NETWORK_ERRORS as error:
            problem = f"{type(error).__name__}: {error}"
    remedy = f"Call again to go on where it stopped, or download it by hand and put it at {target}."
    raise _failure(url, target, f"{problem}, after {retries + 1} attempt(s)", remedy)


def _try_once(url: str, part: Path, target: Path, progress: bool) -> None:
    known = _read_remote(part)
    size = part.stat().st_size if known and known.url == url and part.exists() else 0
    if known and size and size == known.total:
        return
    headers = {"User-Agent": "combgrad", "Accept-Encoding": "identity"}
    if known and size:
        headers["Range"] = f"bytes={size}-"
        if known.validator:
            headers["If-Range"] = known.validator
    opener = urllib.request.build_opener(_WebRedirects)
    request = urllib.request.Request(url, headers=headers)
    with opener.open(request, timeout=TIMEOUT_SECONDS) as reply:
        start, remote = _describe(reply, url)
        if start and (start != size or remote != known):
            _discard(part)
            raise http.client.HTTPException("the file changed on the server; starting again")
        if not start:
            # Description before bytes: bytes must never be taken for those of another version.
            _discard(part)
            record = json.dumps(asdict(remote))
            write_text_atomically(_beside(part, ".json"), record)
        _receive(reply, part, target, remote, progress)


def _read_remote(part: Path) -> _Remote | None:
    """The version that `part` belongs to, None where that is not known."""
    try:
        return _Remote(**json.loads(_beside(part, ".json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _beside(part, ".json").unlink(missing_ok=True)


def _describe(reply: http.client.HTTPResponse, url: str) -> tuple[int, _Remote]:
    """Where the body of a reply starts in the file, and which version of the file it is of."""
    tag = reply.headers.get("ETag", "")
    # A weak tag does not promise equal bytes, and If-Range must not carry one (RFC 9110, 13.1.5).
    validator = reply.headers.get("Last-Modified", "") if tag[:2] in ("", "W/") else tag
    if reply.status != http.client.PARTIAL_CONTENT:
        length = reply.headers.get("Content-Length", "")
        return 0, _Remote(url, validator, int(length) if length.isdigit() else None)
    place = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", reply.headers.get("Content-Range", ""))
    if place is None:
        raise http.client.HTTPException("the server sent a part without saying which")
    return int(place[1]), _Remote(url, validator, None if place[2] == "*" else int(place[2]))


def _receive(
    reply: http.client.HTTPResponse, part: Path, target: Path, remote: _Remote, progress: bool
) -> None:
    """Append the body of a reply to `part` and flush it to disk."""
    done = part.stat().st_size if part.exists() else 0
    if remote.total is not None:
        needed, free = remote.total - done, shutil.disk_usage(part.parent).free
        if needed > free:
            problem = f"{needed:,} bytes are needed and {free:,} free on the disk"
            remedy = f"Free some space, or choose another folder than {target.parent}."
            raise _failure(remote.url, target, problem, remedy)
    with part.open("ab") as file, _meter(target.name, done, remote.total, progress) as advance:
        while chunk := reply.read(CHUNK_BYTES):
            file.write(chunk)
            advance(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    size = part.stat().st_size
    if remote.total is not None and size != remote.total:
        raise http.client.HTTPException(f"the connection closed at {size} of {remote.total} bytes")


@contextlib.contextmanager
def _meter(
    name: str, done: int, total: int | None, shown: bool
) -> Iterator[Callable[[int], object]]:
    """Yield the function to call with the count of every few bytes that arrived."""
    if not shown:
        yield lambda count: None
        return
    try:
        bar_class = importlib.import_module("tqdm").tqdm
    except ImportError:
        yield _line_printer(name, done, total)
        return
    with bar_class(desc=name, initial=done, total=total, unit="B", unit_scale=True) as bar:
        yield bar.update


def _line_printer(name: str, done: int, total: int | None) -> Callable[[int], object]:
    last = time.monotonic()
    whole = f" of {total / 1e6:,.1f}" if total is not None else ""

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        if time.monotonic() - last >= REPORT_SECONDS:
            last = time.monotonic()
            print(f"{name}: {done / 1e6:,.1f}{whole} MB", file=sys.stderr)

    return advance
