"""Settings that all tests share."""

import gc

import torch
from hypothesis import settings

# Compiled solvers make the first example slow, so no deadline; CI repeats the same examples, and
# `make fuzz` looks for new ones.
settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=100, print_blob=True)
settings.load_profile("ci")

# Several test processes, each with threads of its own, slow small operations down a hundredfold.
torch.set_num_threads(1)


def pytest_collection_finish():
    # All that was imported and collected stays to the end; to search it for garbage again and again
    # takes a tenth of the time of the tests.
    gc.collect()
    gc.freeze()


def pytest_runtest_setup():
    # What a test draws must not hang on which tests its process has run before.
    torch.manual_seed(0)
