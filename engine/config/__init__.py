"""The configuration: read, checked, joined with the catalogue."""

from engine.config._catalogue import Catalogue as Catalogue
from engine.config._catalogue import Endpoint as Endpoint
from engine.config._catalogue import Listing as Listing
from engine.config._load import load as load
from engine.config._problems import ConfigError as ConfigError
from engine.config._problems import Problem as Problem
from engine.config._schema import ANY_MODEL as ANY_MODEL
from engine.config._schema import AUTO as AUTO
from engine.config._schema import REHEARSAL as REHEARSAL
from engine.config._schema import SPOKEN as SPOKEN
from engine.config._schema import WIRES as WIRES
from engine.config._schema import Auth as Auth
from engine.config._schema import Chain as Chain
from engine.config._schema import Config as Config
from engine.config._schema import Model as Model
from engine.config._schema import Provider as Provider
from engine.config._schema import Route as Route
from engine.config._schema import Secret as Secret
from engine.config._schema import Server as Server
from engine.config._schema import Wire as Wire
from engine.config._schema import check_exposure as check_exposure
