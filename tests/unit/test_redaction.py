"""No password, query or fragment of an address is left in what is written down."""

import pytest

from combgrad.errors import redacted

HARMLESS = "https://example.org/data/x.tar.gz"


@pytest.mark.parametrize(
    "address",
    [
        "https://user:hidden@example.org/data/x.tar.gz",
        "https://hidden@example.org/data/x.tar.gz",
        "https://user:hid/den@example.org/data/x.tar.gz",
        "https://user:1hid?den#@example.org/data/x.tar.gz",
        "https://user:hi'den@example.org/data/x.tar.gz",
        "https://user:hid@den@example.org/data/x.tar.gz",
        "https://example.org/data/x.tar.gz?token=hidden",
        "https://example.org/data/x.tar.gz?X-Amz-Signature=hidden&b=hidden%20",
        "https://example.org/data/x.tar.gz#hidden",
        "https://user:hidden@example.org/data/x.tar.gz?sig=hidden#hidden",
    ],
)
@pytest.mark.parametrize("around", ["{}", "data.url={}", "cannot read {} (HTTP 404)", "{} and {}"])
def test_an_address_keeps_scheme_host_and_path_alone(address, around):
    assert redacted(around.format(address, address)) == around.format(HARMLESS, HARMLESS)


@pytest.mark.parametrize(
    "text",
    [
        HARMLESS,
        "https://example.org:8080/archive@v2.tar.gz",
        "https://example.org:8080",
        "ftp://example.org/",
        "file:///data/set/x.npz",
        "someone@example.org writes: a = b ? c : d # e",
        "experiment=tsp5 solver.f.path=package.module",
        "10.17617/3.YJCQ5S",
        "",
    ],
)
def test_what_holds_no_secret_stays_as_it_is(text):
    assert redacted(text) == text


@pytest.mark.parametrize("scheme", ["http", "s3", "postgresql+psycopg2", "ftp"])
def test_every_scheme_is_seen(scheme):
    assert redacted(f"{scheme}://me:hidden@host/a?b=hidden") == f"{scheme}://host/a"
