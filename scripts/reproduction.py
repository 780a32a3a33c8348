"""Write the page that tells of every number the papers printed whether it is reproduced."""

from combgrad.plans.reproduction import main

if __name__ == "__main__":
    main()
