"""Which runs a table or a figure needs, and the dashboard that shows them."""
