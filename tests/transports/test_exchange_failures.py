"""What a failed exchange over HTTP is taken for, and that no failure repeats a key."""

from __future__ import annotations

import base64
import errno
from typing import Any

import httpx
import orjson
import pytest
import trio
from trio.testing import MockClock

from engine import AttemptError, Kind
from engine.config import Secret, Settings
from policies import FailureKind
from tests.transports.anthropic_frames import START, delta, start, stream
from tests.transports.asks import ask, body
from tests.transports.exchanges import GOOD, JSON, SSE, Body, Host, exchanged, failure, failure_before, host
from transports._anthropic import StreamError
from transports._classify import MAX_ERROR_BYTES, MAX_TEXT
from transports._errors import mark_stale
from transports._outgoing import anthropic
from transports._sse import SSEError
from transports._wire import ERROR_BODY_S, WireHTTP, failure_of


class TestRefusals:
    """Other statuses."""

    async def test_the_body_says_what_is_meant(self) -> None:
        """With the wait, in seconds or as a date."""
        said = orjson.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}})
        failed = await failure(host(said, status=429, headers={**JSON, "Retry-After": "12"}))
        assert (failed.kind, failed.retry_after_s, failed.body) == (FailureKind.RATE_LIMITED, 12.0, said)

    async def test_dates_are_taken_against_the_wall_clock(self) -> None:
        """Which is given."""
        where = host(status=429, headers={"retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"})
        with pytest.raises(AttemptError) as caught:
            async with WireHTTP(lambda _: where, lambda: 1_800_000_000.0, anthropic).open(ask()):
                raise AssertionError("entered")
        assert caught.value.failure.retry_after_s == 30

    async def test_a_slow_body_is_not_waited_for(self, autojump_clock: MockClock) -> None:
        """After five seconds the status says enough."""
        failed = await failure(host(1000.0, b"never", status=503))
        assert (failed.kind, failed.status, trio.current_time()) == (FailureKind.OVERLOADED, 503, ERROR_BODY_S)

    async def test_an_endless_body_is_read_so_far(self) -> None:
        """Nobody needs more of an error."""
        where = host(*[b"x" * 1000] * 1000, status=500)
        assert (await failure(where)).kind is FailureKind.SERVER
        assert where.body.taken == -(-MAX_ERROR_BYTES // 1000)

    async def test_a_body_that_breaks_off_counts_as_far_as_it_came(self) -> None:
        """The failure is the provider's answer, not the cut."""
        failed = await failure(host(b"no such mo", httpx.ReadError("reset"), status=404))
        assert (failed.kind, failed.message) == (FailureKind.GONE, "no such mo")


class TestExceptions:
    """Those of the libraries below."""

    async def test_running_out_of_files_is_nobodys_fault_but_ours(self) -> None:
        """As trio tells it: one error for all addresses, caused by a group."""
        error = httpx.ConnectError("all attempts failed")
        error.__cause__ = OSError("all attempts failed")
        error.__cause__.__cause__ = ExceptionGroup("", [OSError(errno.EMFILE, "too many open files")])
        assert (await failure(Host(Body(()), error=error))).kind is FailureKind.BUG

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (httpx.ConnectTimeout("t"), FailureKind.CONNECT_TIMEOUT),
            (httpx.ConnectError("refused"), FailureKind.CONNECT),
            (httpx.ProxyError("407"), FailureKind.CONNECT),
            (httpx.UnsupportedProtocol("ftp"), FailureKind.CONNECT),
            (httpx.WriteTimeout("t"), FailureKind.RESET),
            (httpx.WriteError("epipe"), FailureKind.RESET),
            (httpx.ReadTimeout("t"), FailureKind.IDLE_TIMEOUT),
            (httpx.ReadError("reset"), FailureKind.RESET),
            (httpx.RemoteProtocolError("closed"), FailureKind.RESET),
            (httpx.LocalProtocolError("bad"), FailureKind.RESET),
            (httpx.DecodingError("gzip"), FailureKind.MALFORMED),
            (SSEError("long"), FailureKind.MALFORMED),
            (StreamError("odd"), FailureKind.MALFORMED),
        ],
    )
    async def test_each_is_a_failure(self, error: Exception, kind: FailureKind) -> None:
        """At the head and in the body alike; with words even where the exception has none."""
        if isinstance(error, httpx.HTTPError):
            assert (await failure(Host(Body(()), error=error))).kind is kind
        assert (await failure(host(GOOD[:400], error))).kind is kind
        assert failure_of(type(error)("")).message == type(error).__name__

    async def test_a_stale_connection_is_marked(self) -> None:
        """One more try on a fresh one is then worth it."""
        error = httpx.ReadError("reset")
        assert not (await failure(Host(Body(()), error=error))).stale
        mark_stale(error)
        assert (await failure(Host(Body(()), error=error))).stale

    async def test_others_are_ours(self) -> None:
        """A fault in the code is not taken for a provider's."""
        with pytest.raises(ZeroDivisionError):
            await exchanged(host(GOOD[:400], ZeroDivisionError()))

    async def test_a_body_that_cannot_be_written_is_the_clients(self) -> None:
        """JSON is read to a greater depth than it is written."""
        raw = orjson.dumps(body(metadata=[0])).replace(b"[0]", b"[" * 300 + b"]" * 300)
        where = host(GOOD)
        failed = await failure_before(where, ask(raw=raw, open_lists=False))
        assert (failed.kind, failed.status, failed.message) == (
            FailureKind.CLIENT, 400, "the body is nested too deeply",
        )  # fmt: skip
        assert where.seen == []

    @pytest.mark.parametrize("bad", [{"base_url": "http://[::secret"}, {"key": "secret\u00e9"}])
    async def test_a_request_that_cannot_be_built(self, bad: dict[str, Any]) -> None:
        """A failure of the attempt, which quotes neither address nor key; nothing is sent."""
        where = host(GOOD)
        with pytest.raises(AttemptError) as caught:
            async with WireHTTP(lambda _: where, lambda: 0.0, anthropic).open(ask(**bad)):
                raise AssertionError("entered")
        assert caught.value.failure.kind is FailureKind.CONNECT
        assert "secret" not in caught.value.failure.message
        assert where.seen == []


SECRET = "sk-secret/0123456789"


class TestKeys:
    """A provider that quotes the key it was sent."""

    @pytest.mark.parametrize("key", [SECRET, f"Bearer {SECRET}"], ids=["plain", "with its scheme"])
    @pytest.mark.parametrize("escaped", [SECRET, SECRET.replace("/", "\\/")], ids=["as it is", "escaped"])
    async def test_a_native_error_is_cleared_of_it(self, key: str, escaped: str) -> None:
        """In the words and in the body that the client is given."""
        said = b'{"type":"error","error":{"type":"authentication_error","message":"no key %s"}}' % escaped.encode()
        failed = await failure(host(said, status=401, headers=JSON), key=key)
        assert (failed.native, failed.message) == (True, "authentication_error: no key [key]")
        assert orjson.loads(failed.body or b"")["error"]["message"] == "no key [key]"
        assert SECRET.encode() not in (failed.body or b"")
        assert escaped.encode() not in (failed.body or b"")

    async def test_any_key_of_the_provider_is_meant(self) -> None:
        """Also one that this attempt did not use; and a body without any is left as it came."""
        other = Secret("sk-other-0123456789", "OTHER")
        said = b'{ "type":"error", "error":{"type":"api_error","message":"sk-other-0123456789"}}'
        assert (await failure(host(said, status=500), key=SECRET, keys=(other,))).message == "api_error: [key]"
        assert (await failure(host(said, status=500), key=SECRET)).body == said

    async def test_what_cannot_be_looked_through_is_not_repeated(self) -> None:
        """It may hold the key in any writing."""
        error = b'{"type":"api_error","message":"sk-secret\\/0123456789","x":%s%s}' % (b"[" * 300, b"]" * 300)
        failed = await failure(host(b'{"type":"error","error":%s}' % error, status=500), key=SECRET)
        assert (failed.message, failed.body) == ("status 500 without a text", None)

    async def test_it_goes_before_the_text_is_cut(self) -> None:
        """Half a key is too much of it."""
        said = b"x" * (MAX_TEXT - 9) + b" " + SECRET.encode()
        assert "sk-" not in (await failure(host(said, status=500), key=SECRET)).message

    @pytest.mark.parametrize(
        "where",
        [
            host(orjson.dumps({"error": {"message": SECRET}}), headers=JSON),
            host(GOOD, headers={"content-type": f"text/{SECRET}"}),
            host(GOOD, headers={**SSE, "content-encoding": SECRET}),
            host(GOOD[:400], httpx.ReadError(SECRET)),
            Host(Body(()), error=httpx.ConnectError(SECRET)),
        ],
        ids=["status 200", "content type", "encoding", "body", "head"],
    )
    async def test_every_other_failure_is_cleared_as_well(self, where: Host) -> None:
        """Wherever its words came from; and all are short."""
        message = (await failure(where, key=SECRET)).message
        assert "[key]" in message
        assert SECRET not in message

    async def test_an_error_event_is_cleared_of_it(self) -> None:
        """Payload and bytes."""
        error = {"type": "error", "error": {"type": "api_error", "message": f"no {SECRET}"}}
        (*_, last) = await exchanged(host(stream(START, start(0), delta(0, "hi"), error)), key=SECRET)
        assert (last.kind, last.payload["error"]["message"]) == (Kind.ERROR, "no [key]")
        assert SECRET.encode() not in last.raw

    async def test_an_id_is_cleared_of_it(self) -> None:
        """It is for people too."""
        assert (await failure(host(status=500, headers={"request-id": SECRET}), key=SECRET)).upstream_id == "[key]"

    async def test_a_configured_header_and_a_proxys_password_are_struck_out(self) -> None:
        """A provider may quote the one, a proxy the other."""
        proxy = Secret("http://me:hunter2-hunter2@p.test:1", "P")
        words = b"bad team-secret-777, bad hunter2-hunter2, bad " + base64.b64encode(b"me:hunter2-hunter2")
        found = await failure(
            host(words, status=500), settings=Settings(headers=(("x-team", "team-secret-777"),)), proxy=proxy
        )
        assert found.message == "bad [key], bad [key], bad [key]"

    async def test_a_placeholder_is_none(self) -> None:
        """Striking out `none` would garble the text and hide nothing."""
        assert (await failure(host(b"none of it", status=500), key="none")).message == "none of it"
