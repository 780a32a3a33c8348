"""One run: its configuration, its parts, and where its result comes from."""
