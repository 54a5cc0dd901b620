"""Requests that go through a proxy: httpx's own transport, one for each address.

Our transport speaks to providers and to nobody else. Tunnels, SOCKS and what proxies ask for besides are httpx's trade, so
a provider behind one is given its transport, which has the same interface. Its pool must never be a place to wait in: a
cancelled wait leaves a dead slot behind, so it has no upper bound, and how many requests run is the engine's business.
"""

from __future__ import annotations

import attrs
import httpx

from engine.config import Provider
from transports._connection import client_context
from transports.http import KEEPALIVE_EXPIRY_S

#: Idle connections kept for each proxy.
_IDLE = 16


@attrs.define(eq=False)
class Proxied:
    """The way to each provider: `direct`, or through the provider's proxy."""

    direct: httpx.AsyncBaseTransport
    _through: dict[str, httpx.AsyncHTTPTransport] = attrs.field(factory=dict, repr=False)

    def to(self, provider: Provider) -> httpx.AsyncBaseTransport:
        """What sends to this provider. Made when it is first needed: nobody pays for a proxy that nobody has."""
        if provider.proxy is None:
            return self.direct
        address = provider.proxy.reveal()
        if address not in self._through:
            limits = httpx.Limits(
                max_connections=None, max_keepalive_connections=_IDLE, keepalive_expiry=KEEPALIVE_EXPIRY_S
            )
            self._through[address] = httpx.AsyncHTTPTransport(
                verify=client_context(), proxy=httpx.Proxy(address), limits=limits, trust_env=False
            )
        return self._through[address]

    async def aclose(self) -> None:
        """Close the idle connections of all of them."""
        for transport in (*self._through.values(), self.direct):
            await transport.aclose()
