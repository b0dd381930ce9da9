"""Whether weights can be said in another program's numbers."""

from torch import Tensor

from tissu_core.errors import InputError

_LARGEST_HALF = 65504.0


def require_numbers(name: str, tensor: Tensor, *, is_half: bool) -> None:
    """Refuse a tensor with what is no number or, if ``is_half``, none that fp16 can say.

    Raises:
        InputError: Naming the tensor.
    """
    largest = float(tensor.abs().max())
    if not largest < float("inf"):
        raise InputError(
            f"{name} holds NaN or infinity",
            hint="tissu inspect weights names such tensors; use another checkpoint",
        )
    if is_half and largest > _LARGEST_HALF:
        raise InputError(f"{name} holds {largest:g}, more than fp16 can say", hint="--type f32")
