"""The rung command: it parses, calls and prints; nothing imports it."""
