"""What people like better: whole rankings, from a few comparisons."""
