"""What people would rather look at than read: arrays in, figures and pages out."""

from combgrad.pictures.saving import save_figure, save_picture
from combgrad.pictures.words import Page

__all__ = ["Page", "save_figure", "save_picture"]
