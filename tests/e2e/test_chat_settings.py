"""What hosts refuse, and what a configuration says, seen from the host's end of a real socket.

Each rule has its tests without I/O. Here the real proxy, started as a user starts it, is asked with a plain HTTP client, and
a small chat-completions host on loopback tells what arrived: which try was made again, and with what.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import httpx
import pytest
import trio

from tests.transports.faulty import Requests, hang
from tests.transports.pdfs import pdf
from tests.transports.test_proxied import forward, proxying, socks5

from .proxy import running_proxy

#: Each test starts a proxy of its own, which takes a second.
pytestmark = pytest.mark.long

#: What a host makes of a request: the status and the object it answers with.
Manner = Callable[[dict[str, Any]], tuple[int, dict[str, Any]]]


def said(text: str) -> tuple[int, dict[str, Any]]:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return 200, {"object": "chat.completion", "choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


def no(message: str, status: int = 400, **more: Any) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, **more}}


@attrs.define(eq=False)
class Host:
    """A chat-completions host: what it was sent, and how it answers."""

    manner: Manner
    port: int = 0
    bodies: list[dict[str, Any]] = attrs.field(factory=list)
    heads: list[dict[str, str]] = attrs.field(factory=list)

    async def handle(self, stream: trio.SocketStream) -> None:
        requests = Requests(stream)
        async with stream:
            while (asked := await requests.next()) is not None:
                request, raw = asked
                self.heads.append({name.decode().lower(): value.decode() for name, value in request.headers})
                self.bodies.append(json.loads(raw))
                status, answer = self.manner(self.bodies[-1])
                body = json.dumps(answer).encode()
                head = (
                    f"HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
                )
                await stream.send_all(head.encode() + body)
                requests = Requests(stream)


@asynccontextmanager
async def hosting(manner: Manner) -> AsyncIterator[Host]:
    """A host on 127.0.0.1 while the block runs."""
    host = Host(manner)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, host.handle, 0, host="127.0.0.1"))
        host.port = listeners[0].socket.getsockname()[1]
        yield host
        nursery.cancel_scope.cancel()


def configured(
    port: int, *, id: str = "gw", more: str = "", model: str = "m", others: str = "", chain: str = ""
) -> str:
    wire = f'[providers.{id}]\nwire = "openai-chat"\nbase_url = "http://127.0.0.1:{port}/v1"\n{more}\n{others}\n'
    candidates = chain or f'"{id}/{model}"'
    policies = '["silent-skip", "in-order", { kind = "max-wait", s = 0 }]'
    return (
        wire
        + f'[chains.main]\ncandidates = [{candidates}]\npolicies = {policies}\n[[routes]]\nmatch = "*"\nchain = "main"\n'
    )


async def turn(base_url: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
    body = {"model": "x", "max_tokens": 32_000, "messages": [{"role": "user", "content": "hi"}], **fields}
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        return await client.post(f"{base_url}/v1/messages", json=body, headers=headers)


async def told(base_url: str, path: str) -> Any:
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        return (await client.get(f"{base_url}{path}")).json()


def text_of(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    return str(reply.json()["content"][0]["text"])


async def test_a_refused_field_and_a_refused_length_heal_unseen_and_are_remembered() -> None:
    """Two refusals and an answer are one attempt; the next request is right at once, and `/providers` says what is known."""

    def manner(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if "stream_options" in body:
            return no("Unrecognized request argument supplied: stream_options")
        if body["max_tokens"] > 8192:
            return no(
                f"max_tokens is too large: {body['max_tokens']}. This model supports at most 8192 completion tokens"
            )
        return said("healed")

    async with hosting(manner) as host, running_proxy(configured(host.port)) as proxy:
        assert [text_of(await turn(proxy.base_url)) for _ in range(2)] == ["healed", "healed"]
        known = (await told(proxy.base_url, "/providers"))["providers"]["gw"]["models"]["m"]["learned"]
    assert [("stream_options" in body, body["max_tokens"]) for body in host.bodies] == [
        (True, 32_000), (False, 32_000), (False, 8192), (False, 8192),
    ]  # fmt: skip
    assert known == {"max_tokens": 8192, "window": None, "without": ["stream_options"]}


async def test_a_prompt_too_long_goes_to_the_bigger_window_and_is_else_told_in_the_clients_words() -> None:
    """The first names its window; the second, of unknown size, answers; alone the first ends in a 400."""
    long = no("This model's maximum context length is 8192 tokens. However, your messages resulted in 9100 tokens.")
    async with hosting(lambda _: long) as small, hosting(lambda _: said("room")) as big:
        second = f'[providers.big]\nwire = "openai-chat"\nbase_url = "http://127.0.0.1:{big.port}/v1"'
        both = configured(small.port, others=second, chain='"gw/m", "big/m"')
        async with running_proxy(both) as proxy:
            assert text_of(await turn(proxy.base_url)) == "room"
        async with running_proxy(configured(small.port)) as proxy:
            reply = await turn(proxy.base_url)
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "invalid_request_error")
    assert reply.json()["error"]["message"] == "prompt is too long: 9100 tokens > 8192 maximum"


async def test_an_answer_that_has_no_room_is_asked_shorter_once() -> None:
    """The prompt fits; what is left of the window, less a margin, is asked for."""

    def manner(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        asked = body["max_tokens"]
        if asked > 16_384 - 6000:
            text = f"'max_tokens' is too large: {asked}. This model's maximum context length is 16384 tokens and your "
            return no(f"{text}request has 6000 input tokens ({asked} > 16384 - 6000).")
        return said("short")

    async with hosting(manner) as host, running_proxy(configured(host.port)) as proxy:
        assert text_of(await turn(proxy.base_url)) == "short"
    assert [body["max_tokens"] for body in host.bodies] == [32_000, 10_128]


async def test_settings_of_a_provider_and_of_a_model_arrive() -> None:
    """Length, thinking and headers; the model's word stands above the provider's."""
    more = (
        "max_output_tokens = 4000\nthinking = { budget = 2048 }\nheaders = { X-Team = 'search' }\n"
        "models = { m = { max_output_tokens = 2000, headers = { X-Team = 'ours' } } }"
    )
    async with hosting(lambda _: said("ok")) as host, running_proxy(configured(host.port, more=more)) as proxy:
        text_of(await turn(proxy.base_url))
        text_of(await turn(proxy.base_url, model="gw/other"))
    assert [(body["max_tokens"], body["reasoning_effort"]) for body in host.bodies] == [
        (2000, "medium"),
        (4000, "medium"),
    ]
    assert [head["x-team"] for head in host.heads] == ["ours", "search"]


async def test_a_host_that_says_nothing_is_given_up_after_its_own_time() -> None:
    """Half a second, where the default is a minute."""
    more = "timeouts = { first_content_s = 0.5 }"
    async with trio.open_nursery() as nursery:
        mute = await nursery.start(partial(trio.serve_tcp, hang, 0, host="127.0.0.1"))
        port = mute[0].socket.getsockname()[1]
        async with running_proxy(configured(port, more=more)) as proxy:
            reply = await turn(proxy.base_url)
        nursery.cancel_scope.cancel()
    assert reply.status_code == 503
    assert "no content within 0.5 s" in reply.text


@pytest.mark.parametrize(
    ("auth", "sent_as"), [('auth = "client"', "Bearer sk-own-credential"), ("", None)], ids=["said", "not said"]
)
async def test_the_clients_credential_goes_where_it_is_said_and_nowhere_else(auth: str, sent_as: str | None) -> None:
    """And neither the proxy's token, nor a beta, nor a name of the session goes anywhere."""
    headers = {
        "authorization": "Bearer sesame-token", "x-api-key": "sk-own-credential", "anthropic-beta": "a-2026-01-01",
        "x-claude-code-session-id": "s-1",
    }  # fmt: skip
    async with hosting(lambda _: said("ok")) as host:
        env = {"ANTHROPIC_AUTH_TOKEN": "sesame-token"}
        async with running_proxy(configured(host.port, more=auth), env) as proxy:
            text_of(await turn(proxy.base_url, headers))
    (head,) = host.heads
    assert head.get("authorization") == sent_as
    assert not any(name.startswith(("anthropic-", "x-claude-code-", "x-api-key")) for name in head)
    assert "sesame-token" not in json.dumps([host.heads, host.bodies])


async def test_free_models_are_asked_with_the_public_key_and_no_others() -> None:
    """Zen without a key of one's own; its address alone is replaced."""
    async with hosting(lambda _: said("free")) as host:
        async with running_proxy(configured(host.port, id="zen", model="big-pickle")) as proxy:
            assert text_of(await turn(proxy.base_url)) == "free"
            refused = await turn(proxy.base_url, model="zen/glm-5.2")
    assert [head["authorization"] for head in host.heads] == ["Bearer public"]
    assert refused.status_code == 503
    assert "without a key only its free models answer" in refused.text


@pytest.mark.parametrize(("how", "scheme"), [(forward, "http"), (socks5, "socks5")])
async def test_a_provider_behind_a_proxy_is_asked_through_it(how: Any, scheme: str) -> None:
    """The address with its password comes from the environment, and is shown without it."""
    more = 'proxy_env = "WAY_OUT"'
    async with proxying(how) as (port, seen):
        env = {"WAY_OUT": f"{scheme}://me:secret-of-the-way@127.0.0.1:{port}"}
        config = configured(1, more=more).replace("http://127.0.0.1:1/v1", "http://host.test/v1")
        async with running_proxy(config, env) as proxy:
            assert text_of(await turn(proxy.base_url)) == "through"
            shown = await told(proxy.base_url, "/providers")
        printed = proxy.stdout + proxy.stderr
    assert [target.removesuffix("/v1/chat/completions") for target in seen.targets] in (
        ["http://host.test"],
        ["host.test:80"],
    )
    assert shown["providers"]["gw"]["proxy"] == f"{scheme}://127.0.0.1:{port}"
    assert "secret-of-the-way" not in printed + json.dumps(shown)


async def test_a_pdf_is_read_for_a_host_that_takes_no_files() -> None:
    """Its text stands where it stood, in the second turn as in the first."""
    source = {"type": "base64", "media_type": "application/pdf", "data": b64encode(pdf("The answer is 42")).decode()}
    paper = {"type": "document", "title": "answer.pdf", "source": source}
    asked = [{"role": "user", "content": [paper, {"type": "text", "text": "What is the answer?"}]}]
    async with hosting(lambda _: said("42")) as host, running_proxy(configured(host.port)) as proxy:
        assert [text_of(await turn(proxy.base_url, messages=asked)) for _ in range(2)] == ["42", "42"]
    expected = "[document 'answer.pdf']\n[page 1]\nThe answer is 42\n\nWhat is the answer?"
    assert [body["messages"][-1]["content"] for body in host.bodies] == [expected, expected]
