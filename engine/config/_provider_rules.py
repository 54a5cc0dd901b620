"""What a provider's table may not say, given its row: combinations that each are valid alone.

A region that the host does not have, a key beside the word that there is none, an address for what answers in process. Each
is found by itself, so that all of them are said at once. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.config._catalogue import Listing
from engine.config._file import ProviderTable
from engine.config._problems import Path, nearest


def misstated(table: ProviderTable, row: Listing) -> Iterator[tuple[Path, str]]:
    """Each mistake, with its path below the table."""
    if table.region is not None and table.region not in row.regions:
        regions = row.regions
        allowed = f"available: {', '.join(regions)}" if regions else f"'{row.id}' has no regions"
        yield ("region",), f"unknown region{nearest(table.region, regions)}; {allowed}"
    if table.thread is not None and (table.wire or next(iter(row.wires))) != "zed":
        yield ("thread",), "only the wire zed keeps threads: remove this table"
    for name in table.fill:
        if name not in row.fill:
            known_holes = ", ".join(row.fill) or f"the addresses of '{row.id}' have none"
            text = f"no such placeholder{nearest(name, row.fill)}; available: {known_holes}"
            yield ("fill", name), text
    if table.region is not None and table.base_url is not None:
        yield ("region",), "base_url says where requests go: keep one of them"
    if table.auth in ("none", "client") and table.keys:
        whose = "no key" if table.auth == "none" else "the client's own key"
        text = f"'{table.auth}' sends {whose}, yet a variable with keys is named: remove one of them"
        yield ("auth",), text
    if table.auth not in (None, "none", "client") and not table.keys and not row.env:
        yield ("auth",), f"'{table.auth}' sends a key, yet none is named: add keys_env"
    if "rehearsal" in row.wires and (table.base_url or table.keys):
        key = "base_url" if table.base_url else "keys_env"
        yield (key,), "the rehearsal wire answers in process: it has no address and no key"
