"""Rated beer reviews: the published ones, and made-up ones that stand in for them."""
