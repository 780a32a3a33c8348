"""Articles and their headlines."""
