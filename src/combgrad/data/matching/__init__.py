"""Pairs of pictures with marked points, whose graphs are to be matched."""
