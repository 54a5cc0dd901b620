"""The real clients, end to end: a scripted upstream, the real proxy as a child process, the real Claude Code in front."""
