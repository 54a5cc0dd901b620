"""Consumers of events, one small file each. Nothing else in the engine imports them."""
