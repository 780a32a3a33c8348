"""Sweeps: which runs are asked for, which of them are missing, and how they are carried out."""
