"""The decision, as pure functions over values: no I/O, no clock, no logging, no protobuf.

Start at `decide.py`: it reads top to bottom as the whole story.
"""
