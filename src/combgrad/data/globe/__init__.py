"""Globe TSP: 100 countries, their flags and capitals, and optimal tours through some of them."""
