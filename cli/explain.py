"""`hedgerow explain ID`: why a request went where it went, in one picture.

The answer is in a running server, for the last few hundred requests. It is asked for, and drawn: who was asked and who was
not and by whose word, then what happened, lane by lane.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import click
from rich.console import Console

from cli.asked import NotAnswered, Running, answered, running, url_option
from cli.shared import config_option, console_here, json_option, mistakes, print_json
from cli.timeline import timeline
from cli.verdicts import Line, decision_lines, show_lines
from engine import JSON


@click.command(
    epilog="""\b
Examples:
  hedgerow explain                        the last request
  hedgerow explain req_5d0c4b0d2a8e       the one of this id: answers carry it as `request-id`
  hedgerow explain --json | jq .stages
  hedgerow explain --url http://10.0.0.7:8082

The token is read from the variable that the configuration names, ANTHROPIC_AUTH_TOKEN by default.
Exit codes: 0 told, 1 no such request or no server, 2 a wrong command line or configuration.
"""
)
@click.argument("id", required=False)
@url_option
@json_option
@config_option
def explain(id: str | None, url: str | None, as_json: bool, config: str | None) -> None:
    """Why the request ID (default: the last one) went where it went: every verdict, every attempt."""
    with mistakes():
        asked = running(url, config)
    with answered():
        account = _account(asked, id)
    if as_json:
        print_json(account)
    else:
        draw(console_here(), account)


def _account(asked: Running, id: str | None) -> JSON:
    if id is None:
        listed = asked.get("/api/requests?limit=1")
        if listed is None or not isinstance(listed.get("requests"), list):
            raise NotAnswered(f"what answers at {asked.url} is no hedgerow: it has no /api/requests")
        if not listed["requests"]:
            raise NotAnswered(f"{asked.url} has had no request yet")
        id = str(listed["requests"][0]["id"])
    account = asked.get(f"/api/requests/{quote(id, safe='')}")
    if account is None or "attempts" not in account:
        raise NotAnswered(f"{asked.url} knows no request {id[:80]!r}: it keeps the last 500, in memory")
    return account


def draw(console: Console, account: JSON) -> None:
    """The whole account for a terminal of any width, or for a pipe."""
    show_lines(console, [*_head(account)])
    if "stages" in account:
        console.print()
        show_lines(console, [Line("", "Decided", style="bold"), *decision_lines(account), *_refolds(account)])
    if account["attempts"]:
        console.print()
        show_lines(console, [Line("", "What happened", style="bold")])
        width = min(console.width, 120) if console.is_terminal else 100
        lanes = {**account, "plan": {}}  # those passed over stand in the plan above
        for line in timeline(lanes, width=width, plain=console.encoding.lower() != "utf-8"):
            console.print(line, soft_wrap=True)
        show_lines(console, [*_happened(account)])


def _head(account: JSON) -> Iterator[Line]:
    yield Line(f"{account['id']}  ", _ending(account), style="bold")
    how = f"{account['model']} -> {account['resolved_by']} -> chain {account['chain']}"
    yield Line("asked for  ", how, 2)
    form = "stream" if account["stream"] else "JSON"
    yield Line("prompt     ", f"about {account['input_tokens_estimated']:,} tokens, {form}", 2)
    session = " ".join(part for part in (account["session"], account["agent"]) if part)
    if session:
        yield Line("session    ", session, 2)
    if account["own_policies"]:
        yield Line("its own    ", ", ".join(account["own_policies"]), 2)
    if "shares_answer_of" in account:
        yield Line("shared     ", f"the same answer as {account['shares_answer_of']}, which was under way", 2)
    if "local_answer" in account:
        yield Line("local      ", f"answered here, as a {account['local_answer']} probe: nobody was asked", 2)


def _ending(account: JSON) -> str:
    count = account["attempts_started"]
    attempts = f"{count} attempt{'' if count == 1 else 's'}"
    after = f" after {account['elapsed_s']:.2f} s" if account["elapsed_s"] is not None else ""
    by = f" by {account['candidate']}" if account["candidate"] else ""
    status = f" with {account['status']}" if account["outcome"] == "refused" and account["status"] else ""
    detail = f": {account['detail']}" if account["detail"] else ""
    return f"{account['outcome']}{by}{status}{after}, {attempts}{detail}"


def _refolds(account: JSON) -> Iterator[Line]:
    if account["refolds"]:
        yield Line("", "Folded again from the stored view: the same plan.", 2, "dim")
    else:
        yield Line("", f"Folded again it is not the same: {account['refolds_not_because']}", 2, "red")


def _happened(account: JSON) -> Iterator[Line]:
    """What a lane has no room for: what each failure said, hedges that were not to be, lessons, costs."""
    for attempt in account["attempts"]:
        if attempt.get("failure"):
            theirs = f" (their id: {attempt['upstream_request_id']})" if attempt.get("upstream_request_id") else ""
            counted = "" if attempt.get("counts_against_health") else "; not held against its health"
            yield Line(f"{attempt['attempt']}. ", f"{attempt['candidate']}: {attempt['failure']}{theirs}{counted}", 3)
        for number, tried in enumerate(attempt["tries"][:-1], 1):
            again = tried["failure"] or "begun anew"
            yield Line(f"{attempt['attempt']}. ", f"{attempt['candidate']}: try {number}: {again}", 3)
        if (bill := attempt.get("bill")) and bill["input"] + bill["output"] + bill["cache_read"] + bill["cache_write"]:
            yield Line(f"{attempt['attempt']}. ", f"{attempt['candidate']}: {_bill(bill)}", 3)
    for rescue in account.get("rescues", ()):
        where = f"behind {rescue['shown_chars']:,} characters that the client had seen ({rescue['state']})"
        yield Line(f"{rescue['by_attempt']}. ", f"{rescue['by']}: went on with the answer, {where}", 3)
    spent = account.get("spent")
    if spent and len(account["attempts"]) > 1 and spent["usd_known"]:
        wasted = f", {_usd(spent['usd_wasted'])} of it for answers that were not chosen" if spent["usd_wasted"] else ""
        unknown = f"; of {spent['attempts_unpriced']} no price is known" if spent["attempts_unpriced"] else ""
        yield Line("", f"together {_usd(spent['usd_known'])}{wasted}{unknown}", 3)
    yield from _moved(account.get("affinity") or {})
    for denied in account["hedges_denied"]:
        yield Line("", f"no hedge to {denied['candidate']}: {denied['reason']}", 3)
    for lesson in account["learned"]:
        what = ", ".join(f"{name} {value}" for name, value in lesson.items() if name != "candidate")
        yield Line("", f"learned of {lesson['candidate']}: {what}", 3)


def _bill(bill: JSON) -> str:
    cached = f", {bill['cache_read']:,} from its cache" if bill["cache_read"] else ""
    tokens = f"{bill['input'] + bill['cache_write'] + bill['cache_read']:,} tokens in{cached}, {bill['output']:,} out"
    price = ", price not known" if bill["usd"] is None else f", {_usd(bill['usd'])}" if bill["usd"] else ""
    return f"{tokens}{'' if bill['reported'] else ' (in part estimated)'}{price}"


def _usd(amount: float) -> str:
    return f"{amount:.4g} US dollars"


def _moved(affinity: JSON) -> Iterator[Line]:
    """Where the conversation is at home, and what leaving it cost or saved."""
    if broken := affinity.get("broken"):
        cost = f"{broken['warm_tokens_lost']:,} warm tokens, {_usd(broken['usd'])}"
        text = f"not answered at home ({affinity['home']}) but by {broken['instead']}: {broken['reason']}; cost {cost}"
        yield Line("", text, 3)
    if moved := affinity.get("moved_to"):
        yield Line("", f"the conversation is at home at {moved['candidate']} now: {moved['reason']}", 3)
