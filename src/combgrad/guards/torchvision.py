"""Makes a CUDA-built torchvision importable beside a CPU torch; does nothing where it already is.

The torchvision wheel registers fake kernels for two compiled operators. Beside a CPU torch its
compiled library cannot load, the operators do not exist, and the import stops; pytorch_lightning
and torchmetrics import torchvision and stop with it. Declaring the two schemas is enough: all but
`ops.nms` and `io.read_image` is plain Python.
"""

import importlib
import sys
from typing import Any

import torch

from combgrad.errors import MissingPackageError
from combgrad.files.installation import extra

_MISSING = "operator torchvision::nms does not exist"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

#: The declared operators live as long as this object.
_library: torch.library.Library | None = None


def ensure_torchvision() -> Any:
    """Import torchvision, declaring the operators it lacks beside a CPU torch, and return it.

    A missing torchvision is None, left for whoever needs it to report.
    """
    global _library
    try:
        return importlib.import_module("torchvision")
    except ModuleNotFoundError:
        return None
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        _library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _SCHEMAS:
            _library.define(schema)
        return importlib.import_module("torchvision")


def needed_torchvision(part: str) -> Any:
    """torchvision; MissingPackageError, naming the part that needs it, where there is none."""
    torchvision = ensure_torchvision()
    if torchvision is None:
        raise MissingPackageError(f"{part} needs torchvision: {extra('experiments')}.")
    return torchvision
