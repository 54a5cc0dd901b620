"""Everything the engine states, by name: whoever folds or watches events imports them from here.

An event belongs to a turn (`_events_of_turns`) or to a candidate (`_events_of_candidates`), and most books fold some of
both; where a class stands is then of no interest to them.
"""

from engine._event import EngineEvent as EngineEvent
from engine._events_of_candidates import BreakerChanged as BreakerChanged
from engine._events_of_candidates import HealthChecked as HealthChecked
from engine._events_of_candidates import HealthCheckStarted as HealthCheckStarted
from engine._events_of_candidates import InternalError as InternalError
from engine._events_of_candidates import LessonLearned as LessonLearned
from engine._events_of_candidates import ProviderReset as ProviderReset
from engine._events_of_candidates import ProviderStance as ProviderStance
from engine._events_of_candidates import QuotaTold as QuotaTold
from engine._events_of_candidates import ScopeBlocked as ScopeBlocked
from engine._events_of_candidates import TokensCounted as TokensCounted
from engine._events_of_turns import AffinityBroken as AffinityBroken
from engine._events_of_turns import AffinityChanged as AffinityChanged
from engine._events_of_turns import AnsweredLocally as AnsweredLocally
from engine._events_of_turns import AttemptEnded as AttemptEnded
from engine._events_of_turns import AttemptStarted as AttemptStarted
from engine._events_of_turns import CandidateSkipped as CandidateSkipped
from engine._events_of_turns import Committed as Committed
from engine._events_of_turns import Ending as Ending
from engine._events_of_turns import FirstContent as FirstContent
from engine._events_of_turns import HedgeDenied as HedgeDenied
from engine._events_of_turns import KeyRotated as KeyRotated
from engine._events_of_turns import PassedKey as PassedKey
from engine._events_of_turns import PlanMade as PlanMade
from engine._events_of_turns import RequestAccepted as RequestAccepted
from engine._events_of_turns import RequestFinished as RequestFinished
from engine._events_of_turns import RequestShared as RequestShared
from engine._events_of_turns import Rescued as Rescued
from engine._events_of_turns import TryEnded as TryEnded
from engine._events_of_turns import TryStarted as TryStarted
