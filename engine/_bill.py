"""What an attempt has used and cost, as a value, and what a request's attempts come to.

Money is usually kept as a float, and sums of floats depend on the order in which they were made: the parts of a request then
add up to something else than its total. Here tokens are whole numbers and money is whole billionths of a dollar, so that
every total equals the sum of its parts exactly, whoever adds them up, in whatever order.

What is not known stays unknown: a price that nobody knows makes a cost of None, and a total says how many such there are in it.
"""

from __future__ import annotations

from typing import Any

import attrs

#: Billionths in a dollar.
NANO = 1_000_000_000


@attrs.frozen(kw_only=True)
class Bill:
    """One attempt's tokens, each counted once (`input` is what was read at the full price), and their cost.

    `estimated` is how many of the tokens are our estimate and not the provider's count. `nano_usd` is in billionths of a US
    dollar, None where no price is known; `estimated_nano_usd` is the part of it that rests on estimates. `rule` names the row
    of the ledger's table by which it was made.
    """

    rule: str = ""
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    estimated: int = 0
    nano_usd: int | None = 0
    estimated_nano_usd: int = 0

    @property
    def prompt(self) -> int:
        """All that was read, from a cache or not."""
        return self.input + self.cache_read + self.cache_write

    @property
    def tokens(self) -> int:
        return self.prompt + self.output

    @property
    def usd(self) -> float | None:
        """The cost in US dollars, None where it is unknown."""
        return None if self.nano_usd is None else self.nano_usd / NANO

    @property
    def reported(self) -> bool:
        """Whether every token was counted by the provider (or there are none to count)."""
        return not self.estimated

    def told(self) -> dict[str, Any]:
        """As plain data, with dollars."""
        return {
            "rule": self.rule,
            "input": self.input,
            "output": self.output,
            "cache_read": self.cache_read,
            "cache_write": self.cache_write,
            "reported": self.reported,
            "estimated": self.estimated,
            "usd": self.usd,
            "usd_estimated": self.estimated_nano_usd / NANO,
        }


NO_BILL = Bill()


@attrs.frozen(kw_only=True)
class Totals:
    """The bills of several attempts, added up. `wasted` is what went to attempts that were never chosen.

    `nano_usd` is the sum of the costs that are known; `unpriced` counts the bills whose cost is not.
    """

    attempts: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    estimated: int = 0
    wasted: int = 0
    nano_usd: int = 0
    estimated_nano_usd: int = 0
    wasted_nano_usd: int = 0
    unpriced: int = 0

    @classmethod
    def of(cls, bill: Bill, *, chosen: bool) -> Totals:
        """One attempt's. `chosen`: it was a winner, if only until it broke."""
        known = bill.nano_usd or 0
        return cls(
            attempts=1,
            input=bill.input,
            output=bill.output,
            cache_read=bill.cache_read,
            cache_write=bill.cache_write,
            estimated=bill.estimated,
            wasted=0 if chosen else bill.tokens,
            nano_usd=known,
            estimated_nano_usd=bill.estimated_nano_usd,
            wasted_nano_usd=0 if chosen else known,
            unpriced=bill.nano_usd is None,
        )

    def __add__(self, other: Totals) -> Totals:
        return Totals(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in attrs.fields(Totals)})

    @property
    def tokens(self) -> int:
        return self.input + self.output + self.cache_read + self.cache_write

    @property
    def usd(self) -> float | None:
        """US dollars, None where a part of it is unknown: what is known of it stands in `nano_usd`."""
        return None if self.unpriced else self.nano_usd / NANO

    def told(self) -> dict[str, Any]:
        """As plain data, with dollars."""
        return {
            "input": self.input,
            "output": self.output,
            "cache_read": self.cache_read,
            "cache_write": self.cache_write,
            "estimated": self.estimated,
            "wasted": self.wasted,
            "usd": self.usd,
            "usd_known": self.nano_usd / NANO,
            "usd_estimated": self.estimated_nano_usd / NANO,
            "usd_wasted": self.wasted_nano_usd / NANO,
            "attempts_unpriced": self.unpriced,
        }


NO_TOTALS = Totals()
