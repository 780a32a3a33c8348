"""The one door to pytorch_lightning, which opens beside a CPU torch too.

pytorch_lightning imports torchvision, so the guard has to run first; whoever needs Lightning
imports it from here.
"""

from combgrad.guards.torchvision import ensure_torchvision

ensure_torchvision()

import pytorch_lightning as pl  # noqa: E402

__all__ = ["pl"]
