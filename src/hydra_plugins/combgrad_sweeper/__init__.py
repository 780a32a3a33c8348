"""The resumable sweeper, as a Hydra plugin."""
