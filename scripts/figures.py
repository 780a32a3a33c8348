"""Draw figures of the paper from the records of runs, as SVG and PNG."""

from combgrad.plans.figures import main

if __name__ == "__main__":
    main()
