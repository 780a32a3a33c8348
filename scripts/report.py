"""Write the report: every table, figure and run on one page that opens from disk."""

from combgrad.plans.report import main

if __name__ == "__main__":
    main()
