"""What every dialect needs that is not Anthropic's own: words for blocks, turns, tools, ids, and a strict writer. Pure."""
