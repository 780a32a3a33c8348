"""Look for wrong answers until the time is up: the property tests on ever new random instances.

Among them are all solvers against all solutions of small instances, compared in whole numbers, for
costs of every dtype and layout, from the least to the largest double, and with forbidden entries
(tests/solvers/test_exact.py), and larger instances against exact integers (test_exact_sums.py).
"""

import argparse
import subprocess
import sys
import time

from combgrad.runs.output import write_anywhere


def main() -> int:
    """Repeat the solver tests with new seeds; return 1 at the first failure."""
    write_anywhere()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to go on")
    parser.add_argument("--tests", nargs="+", default=["tests/solvers", "tests/unit"])
    arguments = parser.parse_args()
    deadline = time.monotonic() + 60 * arguments.minutes
    rounds = 0
    while time.monotonic() < deadline:
        seed = time.time_ns() % 2**32
        command = [sys.executable, "-m", "pytest", *arguments.tests, "-q", "-x", "-m", "hypothesis"]
        command += ["--hypothesis-profile=fuzz", f"--hypothesis-seed={seed}", "--timeout=0"]
        print(f"round {rounds + 1}, seed {seed}", flush=True)
        if subprocess.run(command, check=False).returncode != 0:
            print(f"a failure after {rounds} clean rounds; repeat it with: {' '.join(command)}")
            return 1
        rounds += 1
    print(f"{rounds} rounds, no failure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
