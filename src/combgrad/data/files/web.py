"""Requests to web servers: what may be asked for, and what of an address is sent to whom."""

import base64
import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, Any

from combgrad.errors import CombgradError, redacted

TIMEOUT_SECONDS = 60.0

# Other OSErrors come from the disk, and trying again would not help those.
NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    TimeoutError,
    ConnectionError,
    ssl.SSLError,
)


class DownloadError(CombgradError, RuntimeError):
    """A file that could not be fetched, verified or unpacked."""


def check_address(url: str) -> None:
    """Raise DownloadError for what is no http or https address."""
    remedy = "Give an http or https address, or put the file where it is looked for by hand."
    if "://" not in url:
        # Anything, and perhaps a secret.
        raise DownloadError(f"the address is refused: it does not start with https://. {remedy}")
    shown = redacted("%20".join(url.split()))
    try:
        parts = urllib.parse.urlsplit(url)
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not (usable and url.isprintable() and " " not in url):
        raise DownloadError(f"{shown}: is refused, being no address. {remedy}")
    if parts.scheme not in ("http", "https"):
        raise DownloadError(f"{shown}: the scheme {parts.scheme!r} is refused. {remedy}")


def within(url: str, name: str) -> str:
    """The address of a file in the folder `url`, whose query, such as a token, it shares."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))


def request_for(url: str) -> urllib.request.Request:
    """The request for an address; a name and password in it go to its own host only."""
    parts = urllib.parse.urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    headers = {"User-Agent": "combgrad", "Accept-Encoding": "identity"}
    request = urllib.request.Request(urllib.parse.urlunsplit(bare), headers=headers)
    if parts.username is not None:
        pair = f"{parts.username}:{parts.password or ''}"
        word = base64.b64encode(urllib.parse.unquote(pair).encode()).decode()
        # Not redirected: another host must not learn it.
        request.add_unredirected_header("Authorization", f"Basic {word}")
    return request


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
        check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def ask(request: urllib.request.Request) -> Any:
    """The reply to a request, to be closed; raises one of NETWORK_ERRORS."""
    return urllib.request.build_opener(_WebRedirects).open(request, timeout=TIMEOUT_SECONDS)
