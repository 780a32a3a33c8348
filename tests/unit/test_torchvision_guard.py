"""The guard opens torchvision beside a CPU torch and is invisible everywhere else."""

import subprocess
import sys

GUARDED = """
import sys
from combgrad.guards.torchvision import ensure_torchvision
ensure_torchvision()
import combgrad.guards.torchvision as guard
import torchvision, torchvision.transforms, torchvision.models
import pytorch_lightning
print(torchvision.__version__, guard._library is not None)
"""

HEALTHY = """
import sys, types
sys.modules["torchvision"] = healthy = types.ModuleType("torchvision")
from combgrad.guards import torchvision as guard
guard.ensure_torchvision()
assert guard._library is None
assert sys.modules["torchvision"] is healthy
"""

OTHER = """
import sys
from combgrad.guards import torchvision as guard

class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            raise RuntimeError("something else is wrong")

sys.meta_path.insert(0, Broken())
try:
    guard.ensure_torchvision()
except RuntimeError as error:
    assert "something else" in str(error)
else:
    raise AssertionError("the guard hid a foreign error")
"""


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    ).stdout


def test_torchvision_and_lightning_import():
    assert python(GUARDED).split()[0][0].isdigit()


def test_a_healthy_torchvision_is_left_alone():
    assert python(HEALTHY) == ""


def test_foreign_errors_pass_through():
    assert python(OTHER) == ""
