"""Whether a network is one that an experiment can use, found before any data are touched."""

from collections.abc import Iterable

from torch import Tensor, nn

from combgrad.errors import IncompatibleError
from combgrad.experiments.snapshots import only_looking


def check_has(net: nn.Module, names: Iterable[str], option: str) -> None:
    """IncompatibleError unless a network has these parts; `option` is one that has them."""
    missing = [name for name in names if not hasattr(net, name)]
    if missing:
        raise IncompatibleError(
            f"model: {type(net).__name__} has no {' and no '.join(missing)}, which this experiment "
            f"needs; choose {option}."
        )


def check_forward(net: nn.Module, option: str) -> None:
    """IncompatibleError for a network that is made of parts and answers nothing as a whole."""
    if type(net).forward is nn.Module.forward:
        raise IncompatibleError(
            f"model: {type(net).__name__} has no forward, which this experiment needs; choose "
            f"{option}."
        )


def check_answers(net: nn.Module, images: Tensor, shape: tuple[int, ...], option: str) -> None:
    """IncompatibleError unless a network answers images with numbers of this shape."""
    check_forward(net, option)
    try:
        with only_looking(net):
            found = tuple(net(images).shape)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise IncompatibleError(
            f"model: {type(net).__name__} cannot take images {tuple(images.shape)} ({reason}); "
            f"choose {option}."
        ) from error
    if found != shape:
        raise IncompatibleError(
            f"model: {type(net).__name__} answers images with shape {found}, and this experiment "
            f"needs {shape}; choose {option}."
        )
