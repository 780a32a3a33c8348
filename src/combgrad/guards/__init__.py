"""Doors for packages that would not import everywhere as they are, and how imports stay quick."""
