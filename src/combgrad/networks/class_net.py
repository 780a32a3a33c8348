"""The network of a classification: from images, or features of them, to a number for each class."""

from torch import Tensor, nn

from combgrad.networks.backbones import Backbone
from combgrad.networks.precision import single
from combgrad.networks.whole_images import WholeImageNet


class ClassNet(WholeImageNet):
    """A backbone and a linear map: the logits of the classes.

    Args:
        classes: K, how many there are.
        backbone: see WholeImageNet.

    Raises ValueError without a backbone, and for fewer than two classes; calling it does for
    features of another backbone.
    """

    def __init__(self, classes: int, backbone: Backbone | None = None) -> None:
        super().__init__(backbone)
        if classes < 2:
            raise ValueError(f"model.classes is {classes}; it must be at least 2.")
        self.head = nn.Linear(self.channels, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Images (B, 1 or 3, H, W), 0 to 255, or features (B, G) -> logits (B, K)."""
        # In single precision even under autocast: a matching depends on small differences.
        return single(self.head(self.whole(inputs)))
