"""The network of a retrieval: embeddings of length 1, what is trained, and what is refused."""

import pytest
import torch
from torch import nn

from combgrad.guards.torchvision import ensure_torchvision
from combgrad.networks import ClassNet, ResNet50, RetrievalNet, SmallCNN
from combgrad.networks.backbones import Features

IMAGES = torch.randint(256, (4, 3, 64, 64), dtype=torch.uint8, generator=torch.manual_seed(0))


class Normed(SmallCNN):
    """A backbone with a batch norm, wide enough that not all its units are off at the start."""

    def __init__(self):
        super().__init__(32)
        self.norm = nn.BatchNorm2d(3)

    def find(self, pictures):
        return super().find(self.norm(pictures))


def test_embeddings_are_a_linear_map_of_what_the_backbone_finds_at_length_1():
    net = RetrievalNet(SmallCNN(4), embedding=6)
    found = net(IMAGES)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))
    plain = net.backbone(IMAGES).whole @ net.embedding.weight.T + net.embedding.bias
    torch.testing.assert_close(found, plain / plain.norm(dim=1, keepdim=True))
    grey = IMAGES[:, :1]
    torch.testing.assert_close(net(grey), net(grey.expand(-1, 3, -1, -1)))


def test_a_trained_backbone_has_the_channels_of_a_pixel_beside_each_other():
    """Also after its weights came from a checkpoint."""
    net = RetrievalNet(SmallCNN(4), embedding=6)
    plain = {name: x.contiguous() for name, x in net.state_dict().items()}
    net.load_state_dict(plain)
    for step in net.backbone.steps:
        assert step[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_a_frozen_backbone_is_no_part_of_it():
    net = RetrievalNet(SmallCNN(4, frozen=True), embedding=6)
    assert {name for name, _ in net.named_parameters()} == {"embedding.weight", "embedding.bias"}
    assert net(torch.randn(3, 8)).shape == (3, 6)


@pytest.mark.parametrize("frozen", [True, False])
def test_batch_norms_keep_their_means_where_asked(frozen):
    net = RetrievalNet(Normed(), embedding=6, frozen_norm=frozen).train()
    before = net.backbone.norm.running_mean.clone()
    net(IMAGES).sum().backward()
    assert torch.equal(net.backbone.norm.running_mean, before) == frozen
    assert bool(net.backbone.norm.weight.grad.any())
    assert net.embedding.training
    assert net.backbone.steps.training


def test_embeddings_are_in_single_precision_under_autocast():
    net = RetrievalNet(SmallCNN(4), embedding=6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net(IMAGES).dtype == torch.float32


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match="choose backbone=small_cnn"):
        RetrievalNet({})
    with pytest.raises(ValueError, match=r"model\.embedding is 0"):
        RetrievalNet(SmallCNN(4), embedding=0)
    for net, inputs in (
        (RetrievalNet(SmallCNN(4, frozen=True)), IMAGES),
        (RetrievalNet(SmallCNN(4, frozen=True)), torch.zeros(2, 9)),
        (RetrievalNet(SmallCNN(4)), torch.zeros(2, 8)),
    ):
        with pytest.raises(ValueError, match=r"set data\.backbone to the network's"):
            net(inputs)


def test_resnet_is_that_of_torchvision(tmp_path):
    torchvision = ensure_torchvision()
    if torchvision is None:
        pytest.skip("no torchvision")
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    backbone = ResNet50(file=tmp_path / "weights.pth").eval()
    found = backbone(IMAGES)
    assert isinstance(found, Features)
    assert [tuple(x.shape[1:]) for x in found.maps] == [(512, 8, 8), (1024, 4, 4)]
    assert sum(x.shape[1] for x in found.maps) == backbone.channels
    theirs.fc = nn.Identity()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    expected = theirs((IMAGES / 255 - mean) / deviation)
    torch.testing.assert_close(found.whole, expected, rtol=1e-3, atol=1e-3)
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"no weights of resnet50 .*where you have resnet50-0676"):
        ResNet50(file=tmp_path / "weights.pth")


def test_the_network_of_classes_is_a_linear_map_too():
    net = ClassNet(9, SmallCNN(4))
    torch.testing.assert_close(net(IMAGES), net.head(net.backbone(IMAGES).whole))
    frozen = ClassNet(9, SmallCNN(4, frozen=True))
    assert {name for name, _ in frozen.named_parameters()} == {"head.weight", "head.bias"}
    assert frozen(torch.randn(3, 8)).shape == (3, 9)
    for network, inputs in ((net, torch.randn(3, 8)), (frozen, IMAGES)):
        with pytest.raises(ValueError, match=r"set data\.backbone"):
            network(inputs)
    with pytest.raises(ValueError, match="choose backbone=small_cnn"):
        ClassNet(9, {})
    with pytest.raises(ValueError, match=r"model\.classes is 1"):
        ClassNet(1, SmallCNN(4))
