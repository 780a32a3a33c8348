"""Bags of images: which labels a bag has is known, but not which image has which."""
