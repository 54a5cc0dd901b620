"""Fakes for whoever tests a policy, a transport or the engine: scripted providers, a client that notes all, a whole router.

Run them on `trio.testing.MockClock(autojump_threshold=0)`: then all times are exact and nothing takes any.
"""

from engine.testing._client import Misuse as Misuse
from engine.testing._client import RecordingReply as RecordingReply
from engine.testing._messages import answer as answer
from engine.testing._messages import failing as failing
from engine.testing._messages import head as head
from engine.testing._messages import tail as tail
from engine.testing._messages import text as text
from engine.testing._messages import thinking as thinking
from engine.testing._messages import tool as tool
from engine.testing._scenario import Scenario as Scenario
from engine.testing._scenario import config as config
from engine.testing._scenario import provider as provider
from engine.testing._scenario import request as request
from engine.testing._scenario import wired as wired
from engine.testing._script import HANG as HANG
from engine.testing._script import Act as Act
from engine.testing._script import Exchange as Exchange
from engine.testing._script import Script as Script
from engine.testing._script import ScriptedTransport as ScriptedTransport
from engine.testing._script import script as script
