"""The networks of the discrete variational auto-encoder: from images to logits, and back."""

from collections.abc import Sequence

from torch import Tensor, nn

from combgrad.networks.dense import dense

PIXELS = 784


class DVAE(nn.Module):
    """An encoder of images as logits of `rows` codes of `entries`, and a decoder of such codes.

    Linear 784-512-256-400 and 400-256-512-784 with ReLU between. Source: paper, section B.1, and
    its code (A-07, A-11).

    Args:
        hidden: widths between image and code; the decoder has them the other way round.
        rows: latent variables of an image.
        entries: of each.
    """

    def __init__(
        self, hidden: Sequence[int] = (512, 256), rows: int = 20, entries: int = 20
    ) -> None:
        super().__init__()
        if min(*hidden, rows, entries) < 1:
            raise ValueError(
                f"model.hidden is {list(hidden)}, model.rows {rows} and model.entries {entries}; "
                f"all must be at least 1."
            )
        self.rows, self.entries = rows, entries
        sizes = [PIXELS, *hidden, rows * entries]
        self.encoder = dense(sizes)
        self.decoder = dense(sizes[::-1])

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 784) -> logits (B, rows, entries)."""
        return self.encoder(images).unflatten(1, (self.rows, self.entries))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, rows, entries) -> logits of the pixels (B, 784)."""
        return self.decoder(codes.flatten(1))
