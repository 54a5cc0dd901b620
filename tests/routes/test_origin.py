"""Where a request may come from: a web page spends nobody's keys, and without a token only this machine does."""

from __future__ import annotations

import pytest
import trio

from engine.config import Secret, Server
from tests.routes.asgi_driver import CLOSED_SERVER, OPEN_SERVER, TOKEN, ask, house, turn

MESSAGES = "/v1/messages"
#: The doors that hold data or spend keys, those that do not exist included.
DATA = [
    ("POST", MESSAGES),
    ("POST", "/rehearsal:echo/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
    ("GET", "/v1/models"),
    ("GET", "/providers"),
    ("HEAD", "/providers"),
    ("POST", "/providers/rehearsal/reset"),
    ("POST", "/providers/rehearsal/test"),
    ("POST", "/providers/rehearsal/disable"),
    ("GET", "/api/requests"),
    ("GET", "/api/requests/req_0"),
    ("GET", "/nothing"),
]
PEOPLE = [door for door in DATA if "/v1/" not in door[1]]
SDKS = [door for door in DATA if "/v1/" in door[1]]
#: Doors that hold nothing, and the questions whether anybody is there.
HARMLESS = [
    ("GET", "/"),
    ("GET", "/health"),
    ("GET", "/health/"),
    ("GET", "/ready"),
    ("OPTIONS", MESSAGES),
    ("HEAD", "/"),
]

ANYWHERE = Server(host="0.0.0.0", insecure=True)
INSECURE = Server(insecure=True)
HERE, OUTSIDE, UNIX = ("127.0.0.1", 5), ("192.0.2.7", 5), None
WELL_NAMED = ["127.0.0.1:2", "127.0.0.1", "127.8.9.10:80", "localhost", "LocalHost:8082", "[::1]:8082", "[::1]"]
ILL_NAMED = [
    "evil.example", "evil.example:8082", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1@evil.example",
    "192.0.2.7:8082", "0.0.0.0:8082", "[2001:db8::1]:8082", "::1", "[::1", "[::1]x", "127.1", "", " ", "localhost:x",
]  # fmt: skip
FOREIGN = [
    "http://evil.example", "https://evil.example:2", "null", "", "http://localhost:2", "http://127.0.0.1:3000",
    "http://127.0.0.1", "ftp://127.0.0.1:2", "http://127.0.0.1:2.evil.example", "http://127.0.0.1:2/", "127.0.0.1:2",
]  # fmt: skip
OWN = ["http://127.0.0.1:2", "https://127.0.0.1:2", "HTTP://127.0.0.1:2"]


class TestPages:
    """`Origin` says which page a browser acts for. The driver's own `Host` is 127.0.0.1:2."""

    @pytest.mark.parametrize("origin", FOREIGN)
    @pytest.mark.parametrize("server", [OPEN_SERVER, INSECURE, ANYWHERE])
    async def test_of_others_spend_no_keys(self, origin: str, server: Server) -> None:
        """Where there is no token, whatever else is allowed: 403, and no turn is begun."""
        built = house(server=server)
        reply = await ask(built.app, "POST", MESSAGES, turn(), headers=[("origin", origin)])
        assert (reply.status, reply.error[0]) == (403, "permission_error")
        assert reply.header("x-should-retry") == "false"
        assert "ANTHROPIC_AUTH_TOKEN" in reply.error[1]
        assert built.recent.summaries() == []

    @pytest.mark.parametrize(("method", "target"), DATA)
    @pytest.mark.parametrize("server", [OPEN_SERVER, ANYWHERE])
    async def test_of_others_pass_no_door_with_data(self, method: str, target: str, server: Server) -> None:
        """On either half of the front, by whatever path."""
        reply = await ask(
            house(server=server).app, method, target, turn(), headers=[("origin", "https://evil.example")]
        )
        assert reply.status == 403

    @pytest.mark.parametrize("origins", [("http://127.0.0.1:2", "null"), ("null", "http://127.0.0.1:2")])
    async def test_with_two_origins_are_judged_by_both(self, origins: tuple[str, ...]) -> None:
        """One that is ours excuses no other."""
        reply = await ask(house().app, "POST", MESSAGES, turn(), headers=[("origin", origin) for origin in origins])
        assert reply.status == 403

    @pytest.mark.parametrize("origin", OWN)
    @pytest.mark.parametrize("server", [OPEN_SERVER, ANYWHERE])
    async def test_of_our_own_may_ask(
        self, origin: str, server: Server, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Scheme and host as the page itself was asked for."""
        for method, target in (("GET", "/providers"), ("POST", MESSAGES)):
            reply = await ask(house(server=server).app, method, target, turn(), headers=[("origin", origin)])
            assert reply.status == 200

    @pytest.mark.parametrize(("method", "target"), PEOPLE)
    async def test_of_others_read_nothing_even_with_the_token(self, method: str, target: str) -> None:
        """A page that has got hold of the token is refused at the doors for people."""
        headers = [("origin", "https://evil.example")]
        reply = await ask(house(server=CLOSED_SERVER).app, method, target, headers=headers, token=TOKEN)
        assert reply.status == 403

    @pytest.mark.parametrize(("method", "target"), SDKS)
    async def test_with_the_token_may_use_the_doors_of_sdks(
        self, method: str, target: str, autojump_clock: trio.testing.MockClock
    ) -> None:
        """A tool with a page of its own, given the token by its owner."""
        headers = [("origin", "https://tool.example")]
        reply = await ask(house(server=CLOSED_SERVER).app, method, target, turn(), headers=headers, token=TOKEN)
        assert reply.status == 200

    async def test_without_the_token_are_told_of_the_token(self) -> None:
        """401 comes first: whether a page would do is nobody's business who has no token."""
        headers = [("origin", "https://evil.example")]
        assert (await ask(house(server=CLOSED_SERVER).app, "GET", "/providers", headers=headers)).status == 401


class TestNames:
    """`Host` says what name was resolved to reach this machine; a page can make its own resolve to 127.0.0.1."""

    @pytest.mark.parametrize("host", WELL_NAMED)
    async def test_of_this_machine_are_served(self, host: str, autojump_clock: trio.testing.MockClock) -> None:
        """With a port or without, and nothing else is asked for."""
        for method, target in DATA:
            reply = await ask(house().app, method, target, turn(), host=host)
            assert reply.status in (200, 404)

    @pytest.mark.parametrize("host", ILL_NAMED)
    @pytest.mark.parametrize("server", [OPEN_SERVER, INSECURE])
    async def test_of_others_are_not(self, host: str, server: Server) -> None:
        """On loopback, whether or not anything is said of insecurity: nobody else can be meant to come."""
        for method, target in DATA:
            reply = await ask(house(server=server).app, method, target, turn(), host=host)
            assert reply.status == 403
        assert "ANTHROPIC_AUTH_TOKEN" in (await ask(house(server=server).app, "GET", "/v1/models", host=host)).error[1]

    @pytest.mark.parametrize("peer", [HERE, OUTSIDE])
    async def test_of_a_server_bound_elsewhere_are_its_own_affair(self, peer: tuple[str, int]) -> None:
        """`insecure = true` and an address that others reach: nobody here knows by what name."""
        assert (
            await ask(house(server=ANYWHERE).app, "GET", "/providers", host="box.lan:8082", peer=peer)
        ).status == 200

    async def test_do_not_matter_with_a_token(self) -> None:
        """The token is what a page does not have."""
        reply = await ask(house(server=CLOSED_SERVER).app, "GET", "/providers", host="box.lan", token=TOKEN)
        assert reply.status == 200

    async def test_follow_the_variable_that_holds_the_token(self) -> None:
        """What a person is told to set is what is read."""
        server = Server(auth_token_env="TEAM_TOKEN")
        assert "TEAM_TOKEN" in (await ask(house(server=server).app, "GET", "/providers", host="box.lan")).error[1]


class TestPeers:
    """An application under a hypercorn of one's own does not know how it is bound; it sees who connects."""

    @pytest.mark.parametrize(
        "address", ["192.0.2.7", "10.0.0.2", "2001:db8::7", "::ffff:192.0.2.7", "fe80::1%eth0", "x"]
    )
    @pytest.mark.parametrize(("method", "target"), DATA)
    async def test_of_other_machines_need_a_token(self, address: str, method: str, target: str) -> None:
        """403, whatever the Host header says."""
        reply = await ask(house().app, method, target, turn(), peer=(address, 5), host="localhost")
        assert reply.status == 403

    @pytest.mark.parametrize("peer", [HERE, UNIX, ("127.3.2.1", 5), ("::1", 5), ("::ffff:127.0.0.1", 5)])
    async def test_of_this_machine_do_not(self, peer: tuple[str, int] | None) -> None:
        """A Unix socket has no address, and lets in whom its file lets in."""
        assert (await ask(house().app, "GET", "/providers", peer=peer)).status == 200

    @pytest.mark.parametrize("server", [INSECURE, ANYWHERE])
    async def test_are_let_in_where_the_operator_says_so(self, server: Server) -> None:
        """However the server is bound, and by whatever name they know it."""
        assert (await ask(house(server=server).app, "GET", "/providers", peer=OUTSIDE, host="box.lan")).status == 200

    async def test_are_let_in_with_the_token(self) -> None:
        """From anywhere."""
        reply = await ask(house(server=CLOSED_SERVER).app, "GET", "/providers", peer=OUTSIDE, host="box", token=TOKEN)
        assert reply.status == 200

    async def test_are_told_what_to_do(self) -> None:
        """The variable, and the other word."""
        server = Server(auth_token_env="TEAM_TOKEN")
        reply = await ask(house(server=server).app, "GET", "/v1/models", peer=OUTSIDE)
        assert reply.error[0] == "permission_error"
        assert "TEAM_TOKEN" in reply.error[1]
        assert "insecure = true" in reply.error[1]


@pytest.mark.parametrize(("method", "target"), HARMLESS)
@pytest.mark.parametrize("server", [OPEN_SERVER, Server(token=Secret(TOKEN, source="ANTHROPIC_AUTH_TOKEN"))])
async def test_doors_that_hold_nothing_stay_open(method: str, target: str, server: Server) -> None:
    """For health checks from other machines, by any name, with any origin."""
    headers = [("origin", "https://evil.example")]
    reply = await ask(house(server=server).app, method, target, headers=headers, peer=OUTSIDE, host="evil.example")
    assert reply.status in (200, 204)
