"""What hedging does to the tail, on real sockets: see `bench/tail/__main__.py`."""
