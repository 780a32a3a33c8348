"""The device itself refuses what a card refuses, or the other tests would show nothing."""

import pytest
import torch


def test_it_mixes_with_nothing_on_the_cpu(device):
    there = torch.arange(3.0).to(device)
    with pytest.raises(RuntimeError):
        there + torch.ones(3)
    with pytest.raises(RuntimeError):
        torch.ones(2, 3) @ there
    with pytest.raises((TypeError, RuntimeError)):
        there.numpy()


def test_it_computes_what_the_cpu_computes(device):
    there = torch.arange(3.0).to(device).requires_grad_()
    value = (there * torch.ones(3, device=device) + torch.tensor(2.0)).square().sum()
    value.backward()
    assert (value.device.type, there.grad.device.type) == (device.type, device.type)
    assert float(value.detach().cpu()) == 4 + 9 + 16
    assert there.grad.cpu().tolist() == [4.0, 6.0, 8.0]
    assert there.detach()[torch.tensor([2, 0])].tolist() == [2.0, 0.0]
