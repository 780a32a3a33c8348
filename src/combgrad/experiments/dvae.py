"""DVAE: encode digits by k-hot codes and decode them, trained on the negative ELBO."""

from typing import Any, Literal

import torch
from torch import Tensor

from combgrad.arguments import check_option
from combgrad.data.digits.datamodule import Digits
from combgrad.experiments.base import Batch, Experiment
from combgrad.experiments.fitting import check_has
from combgrad.losses import kl_to_share, kl_to_uniform, pixel_cross_entropy
from combgrad.networks.dvae import DVAE
from combgrad.pictures.codes import draw_codes
from combgrad.sampling.noise import Noise
from combgrad.solvers.arrays import single

PICTURED = 10

Divergence = Literal["rows", "entries"]


class DVAEExperiment(Experiment):
    """Image -> logits -> noise -> k-hot code -> image (paper, sections 4.1 and B.1).

    Each row of the code is a selection of its own, y(-(logits + noise)). The loss, in nats, is the
    cross-entropy of the pixels and the divergence of the code's distribution from the uniform one.
    The noise acts in evaluation too, as in the paper's code, but there it is the same in every
    epoch: epochs are compared under one draw, and no evaluation moves the training.

    Args:
        noise: of the sampler, on the logits; None for a deterministic code.
        divergence: `rows` takes each row for one choice among its entries, as the paper's code
            does; `entries` each entry for a Bernoulli variable of mean k / entries (A-09).
        **parts: see Experiment; the network is a DVAE.
    """

    net: DVAE

    def __init__(
        self, noise: Noise | None = None, divergence: Divergence = "rows", **parts: Any
    ) -> None:
        super().__init__(**parts)
        check_has(self.net, ("encode", "decode"), "model=dvae")
        check_option("divergence", divergence, Divergence, "task")
        self.noise = noise or None
        self.divergence = divergence
        self.validates_on_test = False
        self._generator: torch.Generator | None = None

    def on_validation_epoch_start(self) -> None:
        """Start the noise of evaluations anew."""
        self._start_noise()

    def on_test_epoch_start(self) -> None:
        """Start the noise of evaluations anew."""
        self._start_noise()

    def _start_noise(self) -> None:
        seed = self.seed * 1_009 + self.global_rank
        self._generator = torch.Generator(self.device).manual_seed(seed)

    def prepare(self, data: Digits) -> None:
        """Ask whether validation and test are the same images."""
        self.validates_on_test = data.validates_on_test

    def reported_as(self, stage: str) -> tuple[str, ...]:
        """The validation is the test too where that is the same images."""
        return ("test", "val") if stage == "val" and self.validates_on_test else (stage,)

    def codes(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The codes (B, rows, entries) drawn for logits of that shape."""
        # In single precision even under autocast: noise is added, and the largest are chosen.
        rows = single(logits).flatten(0, 1)
        costs = -rows if self.noise is None else -self.noise(rows, generator)
        solution = self.layer(costs)
        if self.training and solution.requires_grad:
            self._compare_gradients(costs, solution, len(logits))
        return solution.view_as(logits).to(logits.dtype)

    def _compare_gradients(self, costs: Tensor, solution: Tensor, size: int) -> None:
        """Add to the epoch's means how dL/dcosts compares with -dL/dy, row by row (Figure 7)."""
        wanted: list[Tensor] = []

        def compare(update: Tensor) -> None:
            aim = -wanted.pop()
            length, aimed = update.norm(dim=1), aim.norm(dim=1)
            tiny = torch.finfo(aim.dtype).tiny
            aimed = aimed.clamp_min(tiny)
            cosine = (update * aim).sum(dim=1) / (length.clamp_min(tiny) * aimed)
            for name, values in (("norm_ratio", length / aimed), ("cosine", cosine)):
                self.add_mean("train", name, values.mean(), size)

        solution.register_hook(wanted.append)
        costs.register_hook(compare)

    def step(self, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Tensor]]:
        """The negative ELBO of a batch of images, and its two parts."""
        images = batch["images"]
        logits = self.net.encode(images)
        codes = self.codes(logits, None if stage == "train" else self._generator)
        reconstruction = pixel_cross_entropy(self.net.decode(codes), images)
        kl = self._kl(logits, codes)
        n_elbo = reconstruction + kl
        values = {"n_elbo": n_elbo, "reconstruction": reconstruction, "kl": kl}
        return n_elbo.mean(), values

    def _kl(self, logits: Tensor, codes: Tensor) -> Tensor:
        if self.divergence == "rows":
            return kl_to_uniform(single(logits))
        # Every row of a code has the same number of ones.
        return kl_to_share(single(logits), float(codes[0, 0].detach().mean()))

    @torch.no_grad()
    def pictures(self, data: Digits) -> dict[str, Any]:
        """Test images, their codes and what the decoder makes of them."""
        self.eval()
        self._start_noise()
        images = data.images["test"][:PICTURED].to(self.device)
        codes = self.codes(self.net.encode(images), self._generator)
        found = torch.sigmoid(self.net.decode(codes))
        return {"codes": draw_codes(*(part.cpu().numpy() for part in (images, codes, found)))}
