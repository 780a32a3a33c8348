"""Decision problems whose costs are predicted from features, and known for training."""
