"""The doors: a bare ASGI hot path and Quart for people, behind one front."""

from routes._asgi import App as App
from routes._asgi import hide_late_disconnect as hide_late_disconnect
from routes._care import Care as Care
from routes._front import Access as Access
from routes._front import Front as Front
from routes._people import Desk as Desk
from routes._people import people as people
