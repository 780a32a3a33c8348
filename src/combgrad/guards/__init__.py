"""The doors through which packages come that would not import everywhere as they are."""
