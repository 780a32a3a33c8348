"""Train one configuration, or sweep over many: `python train.py --help`."""

from combgrad.sweeps.main import main

if __name__ == "__main__":
    main()
