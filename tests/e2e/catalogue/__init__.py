"""The catalogue of stream faults: each fault once, where it strikes and how, with what the client is to see of it.

A fault that is found is usually written down as one more test on one wire, and so the other wires and the other places in
a message stay untried. Here a fault is a value: a message of blocks, a place in it, and a way to break. Each wire's own
rendering of the message is cut into labelled frames, so that "in the middle of the second call" means the same everywhere,
and where it means nothing on a wire the table says why.
"""
