"""Electricity prices by the half hour: what to run when, before the prices are known."""
