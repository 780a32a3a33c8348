"""What both experiments on Warcraft maps do with them: standardise, check and draw."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from combgrad.data.warcraft.datamodule import Warcraft
from combgrad.errors import IncompatibleError
from combgrad.experiments.base import Batch
from combgrad.pictures.terrain import draw_maps

PICTURED = 4

#: What the rounding of published costs, half floats, may add to the cost of a path, relative. The
#: least that a wrong step adds is twice that: 0.1 on the dearest of the largest maps.
TOLERANCE = 3e-4


class Maps(nn.Module):
    """Shows maps to a network as it wants them, by the brightness of the training maps.

    `shown` are the few test maps that are looked at, as a batch.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.shown: Batch = {}

    def take(self, data: Warcraft) -> None:
        """Take the statistics of the training maps, which are no weights, and the maps to show."""
        self.register_buffer("mean", data.channel_mean, persistent=False)
        self.register_buffer("deviation", data.channel_std, persistent=False)
        columns = data.columns("test")
        rows = torch.arange(min(PICTURED, len(columns["maps"])))
        self.shown = {name: column[rows] for name, column in columns.items()}

    def forward(self, net: nn.Module, maps: Tensor) -> Tensor:
        """What the network says (B, k, k) of maps (B, 8k, 8k, 3)."""
        images = (maps.to(torch.float32) - self.mean) / self.deviation
        answer: Tensor = net(images.permute(0, 3, 1, 2))
        return answer

    def of_shown(self, net: nn.Module) -> Tensor:
        """What the network says (N, k, k) of the maps that are looked at."""
        return self(net, self.shown["maps"].to(self.mean.device))

    def draw(
        self,
        net: nn.Module,
        moments: Mapping[int, Tensor],
        paths: Callable[[Tensor], Tensor],
        predicted: str,
    ) -> dict[str, Any]:
        """Figures by name of the maps with true and predicted paths: now, and before training.

        `moments` are what the network said at some epochs, `paths` makes paths of what it says, and
        `predicted` tells what that is.
        """
        answers = {"maps": self.of_shown(net).cpu()}
        # What came later is no map of before, where pictures were wished for on the way alone.
        if 0 in moments and len(moments) > 1:
            answers["maps_before"] = moments[0]
        maps, target, costs = (self.shown[n].numpy() for n in ("maps", "target", "true_costs"))
        return {
            name: draw_maps(
                maps, target, paths(answer).numpy(), answer.numpy(), costs, predicted=predicted
            )
            for name, answer in answers.items()
        }


def check_cells(answer: Tensor, target: Tensor) -> None:
    """IncompatibleError where the network answers for other cells than the maps have."""
    if answer.shape != target.shape:
        raise IncompatibleError(
            f"the network answers for {tuple(answer.shape[1:])} cells and the maps have "
            f"{tuple(target.shape[1:])}. Set data.cells alone, which model.cells follows."
        )


def refuse_network(net: nn.Module) -> None:
    """IncompatibleError for the network of the other of the two experiments."""
    raise IncompatibleError(
        f"{type(net).__name__} is no network for this. Use experiment=warcraft12 with "
        f"model=terrain_net, or experiment=warcraft12_direct with model=path_net."
    )
