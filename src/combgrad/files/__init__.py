"""What lies on a disk: whole files, locks, and who is at work on a run."""
