"""What people write as a source or a target."""

from __future__ import annotations

import pytest

from keystead.migration.addresses import AddressRefused, ServerAddress, Tls, address_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis://db", ServerAddress((("db", 6379),))),
        ("redis://db:7000/3", ServerAddress((("db", 7000),), database=3)),
        ("redis://[::1]:7000", ServerAddress((("::1", 7000),))),
        ("redis://u:p%40s@db:1", ServerAddress((("db", 1),), username="u", password="p@s")),
        ("redis://:p@db", ServerAddress((("db", 6379),), password="p")),
        ("rediss://db:1", ServerAddress((("db", 1),), tls=Tls("ca.pem"))),
        ("cluster://a:1,b,[::1]:2", ServerAddress((("a", 1), ("b", 6379), ("::1", 2)), cluster=True)),
        ("clusters://a:1", ServerAddress((("a", 1),), cluster=True, tls=Tls("ca.pem"))),
    ],
)
def test_a_server_is_written_as_a_url(text: str, address: ServerAddress) -> None:
    assert address_of(text, tls=Tls("ca.pem")) == address


@pytest.mark.parametrize("text", ["data", "/var/lib/keystead", "./a:b"])
def test_what_has_no_scheme_is_a_path(text: str) -> None:
    assert address_of(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://db", "http:// is no kind of store"),
        ("redis://", "nothing is no host:port"),
        ("redis://db:port", "db:port is no host:port"),
        ("redis://db:99999", "db:99999 is no host:port"),
        ("redis://db/zero", "/zero is no number of a database"),
        ("cluster://a:1,,b:2", "nothing is no host:port"),
        ("cluster://a:1/2", "a cluster has no numbered databases"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(AddressRefused, match=reason):
        address_of(text)


@pytest.mark.parametrize("text", ["redis://u:secret@db/x", "redis://:secret@db:port", "cluster://:secret@a/1"])
def test_a_refusal_does_not_show_the_password(text: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        address_of(text)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["redis://db:7000/3", "rediss://[::1]:7000", "cluster://a:1,b:2", "clusters://a:1"])
def test_an_address_is_shown_as_it_is_written_but_for_the_login(text: str) -> None:
    scheme, _, place = text.partition("://")
    assert str(address_of(f"{scheme}://user:secret@{place}")) == text


def test_a_password_from_elsewhere_counts_when_the_address_has_none() -> None:
    there, here = address_of("redis://:mine@db", "other"), address_of("redis://db", "other")
    assert there is not None
    assert here is not None
    assert (there.password, here.password) == ("mine", "other")
