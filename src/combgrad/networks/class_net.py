"""The network of a classification: from images, or features of them, to a number for each class."""

from torch import Tensor, nn

from combgrad.networks.backbones import Backbone


class ClassNet(nn.Module):
    """A backbone and a linear map: the logits of the classes.

    A frozen backbone is no part of it: the data find its features of every image once.

    Args:
        classes: K, how many there are.
        backbone: what finds features of an image as a whole.

    Raises ValueError without a backbone, and for fewer than two classes.
    """

    def __init__(self, classes: int, backbone: Backbone | None = None) -> None:
        super().__init__()
        if not backbone:  # a configuration without one gives an empty mapping
            raise ValueError("this network needs a backbone; choose backbone=small_cnn or another.")
        if classes < 2:
            raise ValueError(f"model.classes is {classes}; it must be at least 2.")
        self.backbone = None if backbone.frozen else backbone
        self.channels = backbone.whole_channels
        self.head = nn.Linear(self.channels, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Images (B, 1 or 3, H, W), 0 to 255, or features (B, G) -> logits (B, K)."""
        wanted = 2 if self.backbone is None else 4
        if inputs.dim() != wanted:
            raise ValueError(
                f"the data give the network inputs of shape {tuple(inputs.shape)}, which its "
                f"backbone does not take; set data.backbone to the network's, ${{backbone}}."
            )
        features = inputs if self.backbone is None else self.backbone(inputs).whole
        return self.head(features)
