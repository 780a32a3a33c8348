"""The network of a retrieval: from images, or features of them, to embeddings of length 1."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.modules.batchnorm import _BatchNorm

from combgrad.arguments import check_count
from combgrad.networks.backbones import Backbone
from combgrad.networks.precision import single
from combgrad.networks.whole_images import WholeImageNet


class RetrievalNet(WholeImageNet):
    """A backbone and a linear map: embeddings x / |x| of images, or of features of them.

    Source: Rolinek et al., CVPR 2020.

    Args:
        backbone: see WholeImageNet.
        embedding: D, of an embedding.
        frozen_norm: whether the batch norms of a backbone that is trained keep the means and
            variances that they came with; their scales and shifts are trained all the same.

    Raises ValueError without a backbone; calling it does for features of another one.
    """

    def __init__(
        self, backbone: Backbone | None = None, embedding: int = 512, frozen_norm: bool = True
    ) -> None:
        super().__init__(backbone)
        check_count("embedding", embedding, "model")
        self.frozen_norm = frozen_norm
        if self.backbone is not None:
            # With the channels of a pixel beside each other a step takes 60 to 70 % of the time.
            self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.embedding = nn.Linear(self.channels, embedding)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; frozen batch norms stay in evaluation mode."""
        super().train(mode)
        if self.frozen_norm and self.backbone is not None:
            for part in self.backbone.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """Images (B, 1 or 3, H, W), 0 to 255, or features (B, G) -> embeddings (B, D)."""
        # In single precision even under autocast: ranks depend on small differences.
        return normalize(single(self.embedding(self.whole(inputs))), dim=1)
