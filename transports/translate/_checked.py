"""A tool call's arguments as they may be shown to a client: the JSON of an object that the tool can take.

What a model wrote is run as it stands, so arguments that are nearly JSON are mended only where that is certain, and only
where the host has said that the answer is over; what then does not fit the tool's schema fails the attempt.
"""

from __future__ import annotations

from engine import JSON
from transports._anthropic import BadArguments
from transports.translate import _arguments
from transports.translate._texts import well_written
from transports.translate._tools import Toolbox


def arguments_json(toolbox: Toolbox, name: str, text: str, *, mend: bool) -> str:
    """The arguments of a call of tool `name`, as they came where they need no repair. Raises BadArguments."""
    given = _arguments.plain(text)
    plain = given is not None
    if given is None and mend:
        given = _arguments.repaired(text, None)
    if given is None:
        raise BadArguments(f"the arguments of a call of {name[:64]} are not JSON")
    back = toolbox.arguments_back(name, given)
    as_json = well_written(back)
    if as_json is None:
        raise BadArguments(f"the arguments of a call of {name[:64]} are nested too deeply")
    if plain:
        return text if given and back is given else as_json.decode()
    if not _arguments.fits(back, toolbox.schema_of(name)):
        raise BadArguments(f"the arguments of a call of {name[:64]} are not JSON, nor nearly what its schema says")
    return as_json.decode()


def given_json(toolbox: Toolbox, name: str, given: JSON) -> str:
    """The same for arguments that a host gives as an object. Raises BadArguments."""
    as_json = well_written(toolbox.arguments_back(name, given))
    if as_json is None:
        raise BadArguments(f"the arguments of a call of {name[:64]} are nested too deeply")
    return as_json.decode()
