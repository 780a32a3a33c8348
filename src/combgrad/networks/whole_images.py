"""What networks of images as a whole share, whatever they answer."""

from torch import Tensor, nn

from combgrad.networks.backbones import Backbone


class WholeImageNet(nn.Module):
    """A backbone that reads whole images, or features that a frozen one has found in them.

    A frozen backbone is no part of the network: the data find its features of every image once.

    Args:
        backbone: what finds features of an image as a whole.

    Raises ValueError without a backbone.
    """

    def __init__(self, backbone: Backbone | None) -> None:
        super().__init__()
        if not backbone:  # a configuration without one gives an empty mapping
            raise ValueError("this network needs a backbone; choose backbone=small_cnn or another.")
        self.channels = backbone.whole_channels
        self.backbone = None if backbone.frozen else backbone

    def whole(self, inputs: Tensor) -> Tensor:
        """Images (B, 1 or 3, H, W), 0 to 255, or features (B, G) -> features (B, G).

        Raises ValueError for images where the backbone is frozen, for features where it is not, and
        for those of another one.
        """
        wanted = 2 if self.backbone is None else 4
        if inputs.dim() != wanted or (wanted == 2 and inputs.shape[1] != self.channels):
            whose = "a frozen backbone" if wanted == 2 else "a backbone that is trained"
            raise ValueError(
                f"the data give the network of {whose} inputs of shape {tuple(inputs.shape)}; set "
                f"data.backbone to the network's, ${{backbone}}."
            )
        return inputs if self.backbone is None else self.backbone(inputs).whole
