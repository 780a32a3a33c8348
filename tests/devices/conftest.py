"""The devices that these tests run on: a card where there is one, and one that is pretended."""

import pytest
import torch
from torch.utils import backend_registration

from combgrad.gradients import base
from pretended import Card, set_up


def pytest_collection_modifyitems(items):
    # The first backward pass of a process counts the devices there are; later ones can have none.
    items.sort(key=lambda item: item.path.parent.name != "devices")


@pytest.fixture(
    params=[
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
        ),
        pytest.param(
            "pretended",
            marks=[
                pytest.mark.skipif(
                    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
                    reason="this torch knows no device written in Python",
                ),
                # Once it is set up, torch's backward takes it for the accelerator there is.
                pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card"),
            ],
        ),
    ]
)
def device(request, monkeypatch):
    if request.param == "cuda":
        # Cards round what they convolve to 10 bits, which moves gradients of TSP(5) by 16 %.
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
        yield torch.device("cuda")
        return
    # Its tensors have no memory of their own, of which one could be asked whether it is shared.
    monkeypatch.setattr(base, "_apart_from", lambda answer, tensor: tensor.clone())
    card = set_up()
    with Card():
        yield card
