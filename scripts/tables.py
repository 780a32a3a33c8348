"""Print tables of the paper from the run records, every number beside the printed one."""

from combgrad.plans.tables import main

if __name__ == "__main__":
    main()
