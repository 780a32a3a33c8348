"""Warcraft: maps of terrain drawn in pixels, and the cheapest path across each of them."""
