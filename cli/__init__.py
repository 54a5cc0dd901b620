"""Commands. Those for a running server speak HTTP; those that need the engine go through `server.build`."""
