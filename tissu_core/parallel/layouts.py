"""How a model lies on the ranks, and what of a step they share."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from tissu_core.models.decoder import Decoder
from tissu_core.parallel.ranks import ALONE, Ranks

T = TypeVar("T")
Shard = Literal["none", "optim", "grad", "full"]
"""What each rank holds a part of: nothing; moments; gradients, too; weights, too. ZeRO's stages 0
to 3, Rajbhandari et al. 2019, arXiv:1910.02054."""
Named = Sequence[tuple[str, nn.Parameter]]


class Layout:
    """All of it in this process, and the base of the others."""

    is_whole = True
    """Whether the model on each rank is whole, so that one alone may call it."""

    def __init__(self, model: Decoder, ranks: Ranks = ALONE) -> None:
        self.model, self.ranks = model, ranks
        self._replica = Replica(model)

    def rows(self, windows: Tensor) -> Tensor:
        """This rank's share of a batch, whose rows are a multiple of the ranks: (B / N, T+1)."""
        share = len(windows) // self.ranks.world_size
        return windows[self.ranks.rank * share : (self.ranks.rank + 1) * share]

    def compute(self, deed: Callable[..., T], *given: Any) -> T:
        """``deed(model, *given)``, whose loss goes backward into this rank's gradients."""
        return self._replica(deed, *given)  # type: ignore[no-any-return]

    def sharing(self, *, is_last: bool) -> AbstractContextManager[object]:
        """Around each micro-batch of a step: only the last one's gradients are sent."""
        return nullcontext()

    def parameters(self) -> Named:
        """What learns, with its gradients once a step is computed."""
        return [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]

    def owned(self) -> Named:
        """Of those, what the optimizer of this rank moves."""
        return self.parameters()

    def take_gradients(self) -> None:
        """Bring the gradients of a step to ``parameters``, where those are not the model's own."""

    def after_step(self) -> None:
        """Tell the others what the optimizer of this rank moved."""

    def norm(self, tensors: Sequence[Tensor]) -> Tensor:
        """The Euclidean norm of tensors that lie as the parameters do: () on their device."""
        return torch.nn.utils.get_total_norm(tensors, foreach=True)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """While entered, the model may be called by itself, by all ranks in one order."""
        yield

    def weights(self) -> dict[str, Tensor] | None:
        """All weights, whole on the main rank; every rank calls it. None: the model has them so."""
        return None

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Take up whole weights; every rank has them."""
        self.model.load_state_dict(weights)

    def gathered(self, moments: dict[str, Tensor]) -> dict[str, Tensor]:
        """All moments by ``parameter/moment``, whole on the main rank; every rank calls it."""
        return moments

    def scattered(self, moments: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of all moments, whole, those of ``owned``, as they lie here."""
        return moments


class Replica(nn.Module):
    """A module whose forward is whatever is done with the model."""

    def __init__(self, model: Decoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, deed: Callable[..., T], *given: Any) -> T:
        """``deed(model, *given)``."""
        return deed(self.model, *given)


def build_layout(
    model: Decoder, ranks: Ranks, *, shard: str = "none", bucket_mb: int = 25
) -> Layout:
    """The model on all ranks, which have made the same weights."""
    if not ranks.are_many:
        return Layout(model)
    # The layouts of torch take half a second to import, for which a run in one process has no use.
    from tissu_core.parallel.data_parallel import DataParallel, MomentsSharded  # noqa: PLC0415
    from tissu_core.parallel.model_sharded import ModelSharded  # noqa: PLC0415

    match shard:
        case "grad" | "full":
            return ModelSharded(model, ranks, is_kept=shard == "grad")
        case "optim":
            return MomentsSharded(model, ranks, bucket_mb)
        case _:
            return DataParallel(model, ranks, bucket_mb)
