"""What people would rather look at than read: arrays in, matplotlib figures out."""

from combgrad.pictures.saving import save_figure

__all__ = ["save_figure"]
