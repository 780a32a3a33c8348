"""A card for machines without one: tensors that say they lie on another device, and mix with none.

Their numbers lie on the CPU, so that answers can be compared to the last digit. What a card refuses
is refused: an operation on tensors of both devices, and numpy's view of one that is not on the CPU.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

NAME = "pretended"

#: These take tensors of two devices: a copy, and what only tells where to copy.
COPIES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}

#: Those whose second argument may lie on the CPU, or must: indices, and lengths of sequences.
SECOND_ANYWHERE = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._pack_padded_sequence.default,
}


def set_up() -> torch.device:
    """Make the device known to torch, once in a process."""
    if not hasattr(torch, NAME):
        backend_registration._setup_privateuseone_for_python_backend(NAME)
    return torch.device(NAME, 0)


class OnCard(Tensor):
    """A tensor that says it lies on the pretended device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnCard":
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(NAME, 0),
        )
        made.held = held
        return made

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # Both are done in C++ by means that a device in Python has not.
        if func is Tensor.tolist:
            return args[0].cpu().tolist()
        if func is Tensor.__getitem__ and isinstance(args[1], list):
            args = (args[0], torch.tensor(args[1], dtype=torch.long))
        return torch._C._disabled_torch_function_impl(func, types, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class Card(TorchDispatchMode):
    """Within it, tensors can be made on the pretended device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given = [leaf for leaf in tree_iter((args, kwargs)) if isinstance(leaf, Tensor)]
    here = [tensor for tensor in given if isinstance(tensor, OnCard)]
    if here and func not in COPIES:
        _refuse_others(func, args, given)
    asked = kwargs.get("device")
    on_card = torch.device(asked).type == NAME if asked is not None else bool(here)
    if on_card and asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    answer = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if func is torch.ops.aten._pack_padded_sequence.default:
        return _on_card(answer[0]), answer[1]  # the sizes of the batches stay
    if func._schema.is_mutable and func.__name__.split(".")[0].endswith("_"):
        return args[0]
    return tree_map(_on_card, answer) if on_card else answer


def _refuse_others(func: Any, args: Any, given: list[Tensor]) -> None:
    anywhere = list(tree_iter(args[1])) if func in SECOND_ANYWHERE else []
    for tensor in given:
        allowed = tensor.dim() == 0 or any(tensor is one for one in anywhere)
        if not isinstance(tensor, OnCard) and not allowed:
            raise RuntimeError(
                f"{func} has a tensor {tuple(tensor.shape)} on the CPU beside one on a card."
            )


def _held(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, OnCard) else leaf


def _on_card(leaf: Any) -> Any:
    return OnCard(leaf) if isinstance(leaf, Tensor) else leaf
