"""Wire formats as machines without I/O, and the few files that touch sockets."""

from collections.abc import Mapping
from types import MappingProxyType

from engine.config import Wire
from transports._anthropic import AnthropicDecoder as AnthropicDecoder
from transports._anthropic import StreamError as StreamError
from transports._catalogue import load_catalogue as load_catalogue
from transports._classify import classify as classify
from transports._counting import CountDoor as CountDoor
from transports._counting import HTTPCounter as HTTPCounter
from transports._dialect import Dialect as Dialect
from transports._listing import ListingFailed as ListingFailed
from transports._listing import list_models as list_models
from transports._local import answering as answering
from transports._models import ListedModel as ListedModel
from transports._outgoing import anthropic as anthropic
from transports._proxied import Proxied as Proxied
from transports._readable import Readable as Readable
from transports._rehearsal import FAULTS as FAULTS
from transports._rehearsal import Rehearsal as Rehearsal
from transports._rehearsal import Script as Script
from transports._sse import Frame as Frame
from transports._sse import SSEDecoder as SSEDecoder
from transports._sse import SSEError as SSEError
from transports._wire import WireHTTP as WireHTTP
from transports.chat import openai_chat as openai_chat
from transports.gemini import gemini as gemini_native
from transports.http import Statistics as Statistics
from transports.http import StreamingTransport as StreamingTransport
from transports.ollama import ollama as ollama
from transports.responses import openai_responses as openai_responses
from transports.web_tools import ServingWebTools as ServingWebTools
from transports.web_tools import TheWeb as TheWeb
from transports.websocket import WebSocketTransport as WebSocketTransport
from transports.zed._transport import ZedThreads as ZedThreads

#: The dialects of HTTP, by wire.
DIALECTS: Mapping[Wire, Dialect] = MappingProxyType(
    {
        "anthropic": anthropic,
        "openai-chat": openai_chat,
        "openai-responses": openai_responses,
        "gemini": gemini_native,
        "ollama": ollama,
    }
)
