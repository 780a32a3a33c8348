"""Data sets, one LightningDataModule each, with the generators that stand in for them offline."""
