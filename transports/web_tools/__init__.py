"""`web_search` and `web_fetch`, executed here for models whose hosts do not; off unless configured."""

from transports.web_tools._serving import ServingWebTools as ServingWebTools
from transports.web_tools._web import TheWeb as TheWeb
