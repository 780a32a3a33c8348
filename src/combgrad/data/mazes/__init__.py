"""Maps with obstacles, and the shortest way from a start to a goal."""
