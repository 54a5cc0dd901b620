"""One turn, from a name to an ending: resolve, photograph, plan, race, and end honestly whatever happened.

Everything a request needs is taken once, when it arrives: the configuration snapshot it keeps for life, and a view of the
world that its plan can be explained from. What remains is to run the race inside the turn's deadline and to see that the
client gets exactly one ending. `RequestFinished` is stated in every case, cancellation included.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from engine import _refusals, _turn
from engine._affinity_break import broken
from engine._books import Books, Conversation
from engine._bus import EventBus, trace_of
from engine._counting import Counting
from engine._events import AnsweredLocally, InternalError, PlanMade, RequestAccepted, RequestFinished
from engine._failure import NoSuchModel
from engine._names import Resolution, resolve
from engine._pacer import Pacer
from engine._ports import Counter, Gate, Refusal, Reply, Transport, Winner
from engine._probes import LOCAL, LocalAnswer, local_answer
from engine._race import Race
from engine._request import Request
from engine._turn import Outcome, Turn
from engine.config import Config, Provider
from policies import Candidate, Hedge, Plan, Policy, View, compose


@attrs.define(eq=False)
class Router:
    """Takes requests to their answers. `config` gives the snapshot in force, `wall_s` the time of day."""

    config: Callable[[], Config]
    books: Books
    bus: EventBus
    gate: Gate
    transports: Callable[[Provider], Transport]
    wall_s: Callable[[], float]
    #: Whether a transport keeps a connection open for this request's conversation with a provider's model.
    holds: Callable[[Request, Provider, str], bool] = lambda *_: False
    counter: Counter | None = None
    _turns: set[Turn] = attrs.field(factory=set)
    _stopping: bool = False
    _idle: trio.Event = attrs.field(factory=trio.Event)

    async def serve(self, request: Request, reply: Reply) -> None:
        """Answer one request through `reply`. Raises nothing but Cancelled, when the client is gone."""
        config = self.config()
        # Who names somebody for this one request means to have that one's answer.
        hatched = request.above is not None and request.above.by == "hatch"
        if not hatched and (known := local_answer(request.body, config.local_answers)) is not None:
            await self._answer_locally(request, reply, known)
            return
        try:
            found = resolve(config, request.model, request.above)
        except NoSuchModel as error:
            text = str(error) if request.above else f"model: {error}"
            await reply.refuse(Refusal(status=error.status, type=_refusals.error_type(error.status), message=text))
            return
        if self._stopping:
            await reply.refuse(_refusals.shutting_down())
            return
        request = self._estimated(request, found.candidates)
        try:
            plan, view = self._plan(config, request, found)
        except Exception as error:  # a policy of somebody's own, which may do anything
            await self._unplanned(request, reply, found, error)
            return
        policies = (*found.chain.policies, *request.policies)
        turn = Turn(trio.CancelScope(deadline=request.accepted_at + plan.limits.deadline_s))
        race = Race(
            request=request,
            reply=reply,
            plan=plan,
            chain=found.budget,
            config=config,
            books=self.books,
            bus=self.bus,
            gate=self.gate,
            transports=self.transports,
            cause=lambda: turn.why,
            pacer=Pacer(plan, trio.current_time()),
        )
        del request  # the race alone has it, and lets it go when nobody will be asked any more
        outcome: Outcome = "abandoned"
        status: int | None = None
        self._turns.add(turn)
        try:
            with turn.scope:
                await _turn.run(race)
            outcome, status = await _turn.end(race, turn)
        finally:
            self._turns.discard(turn)
            if not self._turns:
                self._idle.set()
            self._note_break(race, view, policies)
            self._finished(race, outcome, status)

    async def count(self, request: Request) -> int:
        """The tokens of a prompt: by the first candidate that counts, within a second, else estimated. No turn is had.

        Raises NoSuchModel for a name beside the body's own that means nobody here: a slip in it is seen before the turn.
        """
        config = self.config()
        try:
            found = resolve(config, request.model, request.above)
        except NoSuchModel:
            if request.above is not None:
                raise
            return request.need.input_tokens
        request = self._estimated(request, found.candidates)
        if self.counter is not None:
            counting = Counting(
                request, self._composed(config, request, found)[0], config, self.books, self.counter, self.bus.emit
            )
            tokens = await counting.tokens()
            if tokens is not None:
                return tokens
        return request.need.input_tokens

    def foresee(self, request: Request) -> tuple[Resolution, PlanMade]:
        """Where a request would go now, and the plan that it would have. Nothing is stated, and nobody is asked.

        Raises NoSuchModel.
        """
        config = self.config()
        found = resolve(config, request.model, request.above)
        plan, view = self._composed(config, request, found)
        policies = (*found.chain.policies, *request.policies)
        at = trio.current_time()
        return found, PlanMade(
            at=at, request_id=request.id, chain=found.chain.name, plan=plan, view=view, policies=policies
        )

    def _estimated(self, request: Request, candidates: tuple[Candidate, ...]) -> Request:
        """The request with the best estimate of its prompt that there is, as the first candidate counts."""
        if request.prompt is None or not candidates:
            return request
        estimates = self.books.estimates
        estimate = estimates.estimate(request.session, request.agent, request.body, request.prompt)
        need = attrs.evolve(request.need, input_tokens=estimates.tokens(estimate, candidates[0]))
        return attrs.evolve(request, estimate=estimate, need=need)

    async def _answer_locally(self, request: Request, reply: Reply, known: LocalAnswer) -> None:
        """A probe: nobody is asked, and the operator sees it among the requests like any other."""
        candidate = Candidate(LOCAL, known.probe)
        accepted_at, how = trio.current_time(), f"local answer to the {known.probe} probe"
        self.bus.emit(
            RequestAccepted(
                at=accepted_at,
                request_id=request.id,
                model=request.model,
                chain=LOCAL,
                how=how,
                need=request.need,
                session=request.session,
                agent=request.agent,
            )
        )
        self.bus.emit(AnsweredLocally(at=accepted_at, request_id=request.id, probe=known.probe, wall_s=self.wall_s()))
        outcome: Outcome = "abandoned"
        try:
            await reply.begin(Winner(candidate=candidate, attempts=0))
            await reply.send(known.events(request))
            await reply.finish()
            outcome = "answered"
        finally:
            at = trio.current_time()
            self.bus.emit(
                RequestFinished(
                    at=at,
                    request_id=request.id,
                    outcome=outcome,
                    candidate=candidate,
                    elapsed_s=at - request.accepted_at,
                    status=200 if outcome == "answered" else None,
                )
            )

    async def _unplanned(self, request: Request, reply: Reply, found: Resolution, error: Exception) -> None:
        """No plan came of the chain's policies. It would not the next time either, so the client need not ask again."""
        at, kind = trio.current_time(), type(error).__name__
        self.bus.emit(InternalError(at=at, request_id=request.id, where="plan", trace=trace_of(error)))
        message = f"a policy of chain '{found.chain.name}' has raised {kind}; where is in the server's log"
        refusal = Refusal(status=500, type=_refusals.error_type(500), message=message, should_retry=False)
        outcome: Outcome = "abandoned"
        try:
            await reply.refuse(refusal)
            outcome = "refused"
        finally:
            now = trio.current_time()
            elapsed_s = now - request.accepted_at
            status = refusal.status if outcome == "refused" else None
            self.bus.emit(
                RequestFinished(at=now, request_id=request.id, outcome=outcome, elapsed_s=elapsed_s, status=status)
            )

    def shut_down(self) -> None:
        """Take no more turns, and end those under way: each gets an honest ending."""
        self._stopping = True
        for turn in self._turns:
            turn.cause = "shutdown"
            turn.scope.cancel()

    def refuse_new(self) -> None:
        """Take no more turns; those under way go on."""
        self._stopping = True

    async def idle(self) -> None:
        """Return when no turn is under way."""
        while self._turns:
            self._idle = trio.Event()
            await self._idle.wait()

    @property
    def live(self) -> int:
        """Turns under way."""
        return len(self._turns)

    def _plan(self, config: Config, request: Request, found: Resolution) -> tuple[Plan, View]:
        at = trio.current_time()
        hedge = next((p for p in found.chain.policies if isinstance(p, Hedge)), None)
        self.bus.emit(
            RequestAccepted(
                at=at,
                request_id=request.id,
                model=request.model,
                chain=found.budget,
                how=found.how,
                need=request.need,
                session=request.session,
                agent=request.agent,
                extra_load=hedge.extra_load if hedge else 0.0,
                policies=tuple(map(str, request.policies)),
            )
        )
        plan, view = self._composed(config, request, found)
        policies = (*found.chain.policies, *request.policies)
        self.bus.emit(
            PlanMade(at=at, request_id=request.id, chain=found.chain.name, plan=plan, view=view, policies=policies)
        )
        return plan, view

    def _composed(self, config: Config, request: Request, found: Resolution) -> tuple[Plan, View]:
        at = trio.current_time()
        view = self.books.view(
            config,
            found.candidates,
            request.need,
            at=at,
            wall_s=self.wall_s(),
            seed=request.id,
            chain=found.budget,
            conversation=Conversation(session=request.session, agent=request.agent, model=request.model),
            sticky=[
                c for c in found.candidates if self.holds(request, config.providers[c.provider].on(c.model), c.model)
            ],
        )
        return compose((*found.chain.policies, *request.policies), found.candidates, view), view

    def _note_break(self, race: Race, view: View, policies: tuple[Policy, ...]) -> None:
        """An answer from elsewhere than the conversation's home, with what that cost or saved."""
        if race.winner is None or not race.winner.whole:
            return
        event = broken(
            race.plan,
            view,
            policies,
            race.winner.step.candidate,
            faults=race.faults,
            skips=race.skips,
            hedged=race.winner.beside,
            session=race.request.session,
            agent=race.request.agent,
            request_id=race.request.id,
            at=trio.current_time(),
        )
        if event is not None:
            self.bus.emit(event)

    def _finished(self, race: Race, outcome: Outcome, status: int | None) -> None:
        now = trio.current_time()
        last = race.winner or (race.broken if outcome in ("broken", "abandoned") else None)
        failure = last.failure if last else None
        self.bus.emit(
            RequestFinished(
                at=now,
                request_id=race.request.id,
                outcome=outcome,
                candidate=last.step.candidate if last else None,
                attempts=race.launched,
                elapsed_s=now - race.request.accepted_at,
                status=status,
                detail=str(failure) if failure else "",
                totals=self.books.tally.totals(race.request.id),
            )
        )
