"""The guard: every spelling of an address that is not of the public internet is refused, before and after a lookup."""

from __future__ import annotations

import gzip
import ssl
import zlib
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import attrs
import pytest
import trio
import trustme
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.pages import PUBLIC, Web, moved, page, web
from transports._egress import EgressRules, Refused, allowed, checked
from transports._guarded import Guarded, Unreachable, Unreadable
from transports._guarded import dial as real_dial
from transports._guarded import resolve as real_resolve

PUBLIC_ONLY = EgressRules()
PRIVATE_TOO = EgressRules(private=True)

#: URLs that no rules let through: the way they are written, or where they lead.
NEVER = {
    "no scheme": "example.com/x",
    "a relative one": "/etc/passwd",
    "no host": "http:///x",
    "a port and no host": "http://:80/",
    "empty": "",
    "file": "file:///etc/passwd",
    "ftp": "ftp://example.com/x",
    "gopher": "gopher://example.com:80/_x",
    "data": "data:text/html,x",
    "javascript": "javascript:alert(1)",
    "a user": "http://user@example.com/",
    "a user and a password": "http://user:pw@example.com/",
    "a name as a user": "http://example.com@127.0.0.1/",
    "a backslash": "http://example.com\\@127.0.0.1/",
    "ssh's port": "http://example.com:22/",
    "redis's port": "http://example.com:6379/",
    "port 0": "http://example.com:0/",
    "a port too large": "http://example.com:99999/",
    "a port that is none": "http://example.com:80a/",
    "CR and LF in the host": "http://example.com\r\nx: y/",
    "CR and LF in the path": "http://example.com/\r\nx: y",
    "white space before": " http://example.com/",
    "a space in the host": "http://exa mple.com/",
    "NUL": "http://example.com\x00/",
    "a percent sign in the host": "http://127.0.0.1%2fx/",
    "an encoded letter in the host": "http://ex%61mple.com/",
    "an empty label": "http://example..com/",
    "a label too long": f"http://{'a' * 64}.com/",
    "too long": f"http://example.com/{'a' * 3000}",
    "decimal": "http://2130706433/",
    "octal": "http://0177.0.0.1/",
    "octal, one number": "http://017700000001/",
    "hexadecimal": "http://0x7f000001/",
    "hexadecimal, in parts": "http://0x7f.0x0.0x0.0x1/",
    "short": "http://127.1/",
    "short, three parts": "http://192.168.257/",
    "leading zeros of a public address": "http://093.184.215.014/",
    "a number too large": "http://256.256.256.256/",
    "five parts": "http://127.0.0.1.1/",
    "loopback in digits of full width": "http://\uff11\uff12\uff17.0.0.1/",
    "circled digits": "http://①②⑦.⓪.⓪.①/",
    "IPv6 zone": "http://[fe80::1%25eth0]/",
    "IPv6 zone of loopback": "http://[::1%25lo]/",
    "IPv4 in brackets": "http://[127.0.0.1]/",
    "unspecified": "http://0.0.0.0/",
    "this network": "http://0.1.2.3/",
    "metadata": "http://169.254.169.254/latest/meta-data/",
    "metadata, mapped": "http://[::ffff:169.254.169.254]/",
    "metadata, mapped, in hexadecimal": "http://[::ffff:a9fe:a9fe]/",
    "metadata, NAT64": "http://[64:ff9b::169.254.169.254]/",
    "metadata, 6to4": "http://[2002:a9fe:a9fe::1]/",
    "metadata, IPv6": "http://[fd00:ec2::254]/",
    "metadata of Alibaba": "http://100.100.100.200/",
    "metadata of Azure": "http://168.63.129.16/",
    "metadata by name": "http://metadata.google.internal/",
    "link-local": "http://169.254.1.1/",
    "link-local, IPv6": "http://[fe80::1]/",
    "site-local": "http://[fec0::1]/",
    "multicast": "http://224.0.0.1/",
    "multicast, IPv6": "http://[ff02::1]/",
    "broadcast": "http://255.255.255.255/",
    "reserved": "http://240.0.0.1/",
    "documentation": "http://192.0.2.1/",
    "documentation, IPv6": "http://[2001:db8::1]/",
    "benchmarks": "http://198.18.0.1/",
    "protocol assignments": "http://192.0.0.192/",
    "Teredo": "http://[2001:0:53aa:64c:0:7e2d:80ff:fffe]/",
    "NAT64, local use": "http://[64:ff9b:1::7f00:1]/",
    "unspecified, IPv6": "http://[::]/",
    "IPv4-compatible": "http://[::5db8:d70e]/",
}  # fmt: skip

#: URLs that lead into this house. Open only to those who open it.
PRIVATE = {
    "loopback": "http://127.0.0.1/",
    "loopback, elsewhere": "http://127.9.9.9/",
    "loopback with a dot behind": "http://127.0.0.1./",
    "loopback in full stops of another script": "http://127。0。0。1/",
    "loopback, IPv6": "http://[::1]/",
    "loopback, IPv6, written out": "http://[0:0:0:0:0:0:0:1]/",
    "loopback, mapped": "http://[::ffff:127.0.0.1]/",
    "loopback, mapped, in hexadecimal": "http://[::ffff:7f00:1]/",
    "loopback, translated": "http://[::ffff:0:127.0.0.1]/",
    "loopback, NAT64": "http://[64:ff9b::7f00:1]/",
    "loopback, 6to4": "http://[2002:7f00:1::]/",
    "ten": "http://10.0.0.1/",
    "172": "http://172.31.255.255/",
    "192": "http://192.168.0.1/",
    "carrier NAT": "http://100.64.0.1/",
    "unique local": "http://[fd12:3456::1]/",
    "192, 6to4": "http://[2002:c0a8:1::1]/",
    "localhost": "http://localhost/",
    "localhost in capitals": "http://LOCALHOST/",
    "localhost with a dot behind": "http://localhost./",
    "below localhost": "http://a.localhost/",
    "mDNS": "http://printer.local/",
    "internal": "http://vault.internal/",
    "home": "http://nas.home.arpa/",
    "one label": "http://intranet/",
}  # fmt: skip

OPEN = {
    "a name": "http://example.com/a?b=c#d",
    "a name in capitals": "HTTPS://EXAMPLE.COM/",
    "a name with a dot behind": "https://example.com./",
    "a name of another script": "https://bücher.example/",
    "the usual port": "https://example.com:443/",
    "an address": "http://93.184.215.14/",
    "an IPv6 address": "http://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
    "a public address, mapped": "http://[::ffff:93.184.215.14]/",
    "a public address, NAT64": "http://[64:ff9b::93.184.215.14]/",
    "a name that ends like a private one": "http://notlocalhost.com/",
}  # fmt: skip


@pytest.mark.parametrize("name", NEVER)
def test_what_nobody_may_fetch(name: str) -> None:
    """Refused whether private networks are open or not."""
    for rules in (PUBLIC_ONLY, PRIVATE_TOO):
        with pytest.raises(Refused):
            checked(NEVER[name], rules)


@pytest.mark.parametrize("name", PRIVATE)
def test_what_is_of_this_house(name: str) -> None:
    """Refused, unless private networks are open."""
    with pytest.raises(Refused):
        checked(PRIVATE[name], PUBLIC_ONLY)
    checked(PRIVATE[name], PRIVATE_TOO)


@pytest.mark.parametrize("name", OPEN)
def test_what_is_of_the_public_internet(name: str) -> None:
    """Nothing is refused for its looks."""
    checked(OPEN[name], PUBLIC_ONLY)


def test_schemes_and_ports_are_the_rules_to_give() -> None:
    """A narrower rule narrows, a wider one widens."""
    with pytest.raises(Refused):
        checked("http://example.com/", EgressRules(schemes=frozenset(["https"])))
    assert checked("http://example.com:8080/", EgressRules(ports=frozenset([8080]))).port == 8080


def test_one_closed_address_among_the_answers_is_enough() -> None:
    """A name that points here as well as elsewhere is refused whole; so is one without an address."""
    assert allowed([PUBLIC, PUBLIC], PUBLIC_ONLY) == [PUBLIC]
    for answers in ([PUBLIC, "127.0.0.1"], ["::ffff:10.0.0.1", PUBLIC], ["fe80::1%eth0"], ["not an address"], []):
        with pytest.raises(Refused):
            allowed(answers, PUBLIC_ONLY)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_every_coat(address: IPv4Address) -> None:
    """Plain, mapped, NAT64, 6to4; and what Python calls global is never closed in the plain form but open in another."""
    coats = [IPv6Address(0xFFFF << 32 | int(address)), IPv6Address(0x64FF9B << 96 | int(address)),
             IPv6Address(0x2002 << 112 | int(address) << 80)]  # fmt: skip
    verdicts = {_open(str(one)) for one in (address, *coats)}
    assert len(verdicts) == 1
    if not address.is_global or address.is_multicast:
        assert verdicts == {False}


@given(st.ip_addresses(v=6))
def test_an_ipv6_address_that_python_holds_for_private_is_never_open(address: IPv6Address) -> None:
    """Ours is the narrower judgement."""
    if not address.is_global or address.is_multicast:
        assert not _open(str(address)) or address.ipv4_mapped is not None


@given(st.text(max_size=60) | st.from_regex(r"https?://[\w.:@\\\[\]%/#?-]{0,40}", fullmatch=True))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    """Nothing else is raised, and a target's host is what the request will name."""
    try:
        target = checked(text, PUBLIC_ONLY)
    except Refused:
        return
    assert target.url.raw_host.decode("ascii").lower() == target.host
    assert target.url.scheme in ("http", "https")


def _open(address: str) -> bool:
    try:
        allowed([address], PUBLIC_ONLY)
    except Refused:
        return False
    return True


# Fetching.


def guarded(it: Web, rules: EgressRules = PUBLIC_ONLY, *, max_bytes: int = 10_000, within_s: float = 5) -> Guarded:
    return Guarded(rules=rules, max_bytes=max_bytes, within_s=within_s, lookup=it.lookup, dial=it.dial)


async def test_a_page_comes_from_the_address_that_was_checked() -> None:
    """The name is looked up once, the connection is made to a number, and the request still has the name."""
    async with web({"example.com/a": page("hello")}) as it:
        found = await guarded(it).fetch("http://example.com/a#part")
        assert (found.body, found.charset, found.content_type) == (b"hello", "utf-8", "text/html")
        assert found.url == "http://example.com/a"
        assert it.lookups == ["example.com"]
        assert it.dialled == [((PUBLIC,), 80)]


async def test_a_name_that_changes_its_address_is_not_asked_again() -> None:
    """Rebinding: the second answer would be this machine, and there is no second lookup in one fetch."""
    async with web({"rebind.test/": page("hello")}) as it:
        it.addresses["rebind.test"] = [[PUBLIC], ["127.0.0.1"]]
        assert (await guarded(it).fetch("http://rebind.test/")).body == b"hello"
        assert it.lookups == ["rebind.test"]
        assert it.dialled == [((PUBLIC,), 80)]
        with pytest.raises(Refused):
            await guarded(it).fetch("http://rebind.test/")
        assert len(it.dialled) == 1


async def test_each_hop_is_looked_up_and_judged_anew() -> None:
    """Rebinding across a redirect to the same name: the second hop's lookup is judged as well."""
    async with web({"rebind.test/": moved("/secret")}) as it:
        it.addresses["rebind.test"] = [[PUBLIC], ["127.0.0.1"]]
        with pytest.raises(Refused):
            await guarded(it).fetch("http://rebind.test/")
        assert it.asked == ["rebind.test/"]


@pytest.mark.parametrize("location", [
    "http://127.0.0.1/", "http://169.254.169.254/latest", "//localhost/x", "http://[::1]/", "file:///etc/passwd",
    "http://user:pw@example.com/", "http://example.com:22/", "http://2130706433/", "javascript:x", "gopher://x/",
    "http://inside.test/", "http://" + "a" * 3000,
])  # fmt: skip
async def test_a_redirect_is_judged_like_a_url(location: str) -> None:
    """What may not be asked for may not be redirected to."""
    async with web({"example.com/": moved(location)}) as it:
        it.addresses["inside.test"] = [["10.1.2.3"]]
        with pytest.raises(Refused):
            await guarded(it).fetch("http://example.com/")
        assert it.asked == ["example.com/"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_and_end(status: int) -> None:
    """From name to name, relative ones too; a circle ends after five."""
    answers: dict[str, bytes | None] = {
        "a.test/": moved("http://b.test/x", status), "b.test/x": moved("../y", status), "b.test/y": page("there"),
        "round.test/": moved("/", status),
    }  # fmt: skip
    async with web(answers) as it:
        found = await guarded(it).fetch("http://a.test/")
        assert (found.body, found.url) == (b"there", "http://b.test/y")
        assert it.lookups == ["a.test", "b.test", "b.test"]
        with pytest.raises(Unreachable, match="redirects"):
            await guarded(it).fetch("http://round.test/")
        assert it.asked.count("round.test/") == 6


async def test_a_judge_of_ones_own_is_asked_at_every_hop() -> None:
    """A domain that the caller excludes is not reached through another."""

    def judge(url: object) -> None:
        if "b.test" in str(url):
            raise Refused("not this one")

    async with web({"a.test/": moved("http://b.test/")}) as it:
        with pytest.raises(Refused):
            await guarded(it).fetch("http://a.test/", judge)
        assert it.asked == ["a.test/"]


async def test_tls_is_with_the_name_and_not_with_the_number() -> None:
    """The certificate must be the name's; another name's is refused."""
    ca = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    ca.issue_cert("example.com").configure_cert(server)
    ca.configure_trust(client)
    async with web({"example.com/": page("safe")}, tls=server) as it:
        guard = attrs.evolve(guarded(it), context=client)
        assert (await guard.fetch("https://example.com/")).body == b"safe"
        assert it.dialled == [((PUBLIC,), 443)]
        with pytest.raises(Unreachable):
            await guard.fetch("https://other.com/")


async def test_a_page_too_large_is_cut_and_the_rest_is_not_read() -> None:
    """Reading stops at the limit, whatever the length says."""
    async with web({"example.com/": page(b"x" * 1_000_000)}) as it:
        found = await guarded(it, max_bytes=1000).fetch("http://example.com/")
        assert (len(found.body), found.cut) == (1000, True)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_compressed_page_is_unpacked_within_the_same_bound(coding: str) -> None:
    """Some hosts compress unasked. A bomb is unpacked no further than the limit."""
    pack = gzip.compress if coding == "gzip" else zlib.compress
    answers: dict[str, bytes | None] = {
        "small.test/": page(pack(b"hello"), "text/plain", f"content-encoding: {coding}"),
        "bomb.test/": page(pack(bytes(8_000_000)), "text/plain", f"content-encoding: {coding}"),
        "broken.test/": page(b"\x1f\x8bnonsense", "text/plain", f"content-encoding: {coding}"),
    }
    async with web(answers) as it:
        assert (await guarded(it).fetch("http://small.test/")).body == b"hello"
        bomb = await guarded(it, max_bytes=100_000).fetch("http://bomb.test/")
        assert (len(bomb.body), bomb.cut) == (100_000, True)
        with pytest.raises(Unreadable):
            await guarded(it).fetch("http://broken.test/")


@pytest.mark.parametrize(("content_type", "readable"), [
    ("text/html", True), ("text/plain", True), ("application/json", True), ("application/ld+json", True),
    ("application/xhtml+xml", True), ("text/markdown", True), ("image/png", False), ("application/pdf", False),
    ("application/octet-stream", False), ("nonsense", False),
])  # fmt: skip
async def test_only_text_is_read(content_type: str, readable: bool) -> None:
    """By what the host says it is."""
    async with web({"example.com/": page("x", content_type)}) as it:
        if readable:
            assert (await guarded(it).fetch("http://example.com/")).body == b"x"
        else:
            with pytest.raises(Unreadable):
                await guarded(it).fetch("http://example.com/")


@pytest.mark.parametrize("coding", ["br", "zstd", "compress"])
async def test_a_coding_that_was_not_asked_for_is_not_guessed(coding: str) -> None:
    """What cannot be unpacked within bounds is not read."""
    async with web({"example.com/": page("x", "text/plain", f"content-encoding: {coding}")}) as it:
        with pytest.raises(Unreadable):
            await guarded(it).fetch("http://example.com/")


async def test_a_host_that_says_no_or_nothing() -> None:
    """Its status is told; silence ends in time, and its connection is closed."""
    async with web({"gone.test/": page("no", status=410), "silent.test/": None}) as it:
        with pytest.raises(Unreachable) as caught:
            await guarded(it).fetch("http://gone.test/")
        assert caught.value.status == 410
        with pytest.raises(Unreachable, match=r"0\.2 s"):
            await guarded(it, within_s=0.2).fetch("http://silent.test/")
        with trio.fail_after(2):
            await it.left(2)


async def test_a_name_without_an_address_and_a_port_without_a_server() -> None:
    """Both are unreachable, neither is a crash; the real dialler and resolver take numbers and names."""

    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    async with web({"127.0.0.1/": page("here")}) as it:
        with pytest.raises(Unreachable, match="resolved"):
            await attrs.evolve(guarded(it), lookup=nowhere).fetch("http://example.com/")
        rules = EgressRules(ports=frozenset([it.port]), private=True)
        real = Guarded(rules=rules, max_bytes=100, within_s=5, lookup=real_resolve, dial=real_dial)
        it.answers = {f"localhost:{it.port}/": page("here"), f"127.0.0.1:{it.port}/": page("here")}
        assert (await real.fetch(f"http://127.0.0.1:{it.port}/")).body == b"here"
        assert (await real.fetch(f"http://localhost:{it.port}/")).body == b"here"
        with pytest.raises(Refused):
            await attrs.evolve(real, rules=EgressRules(ports=frozenset([it.port]))).fetch(
                f"http://127.0.0.1:{it.port}/"
            )
    with pytest.raises(Unreachable):
        await real.fetch(f"http://127.0.0.1:{it.port}/")
