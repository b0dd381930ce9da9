"""How a model lies on the ranks, and what of a step they share."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from tissu_core.models.decoder import Decoder
from tissu_core.parallel.ranks import ALONE, Ranks
from tissu_core.runtime.precision import DTYPES

T = TypeVar("T")
Shard = Literal["none", "optim", "grad", "full"]
"""What each rank holds a part of: nothing; moments; gradients, too; weights, too. ZeRO's stages 0
to 3, Rajbhandari et al. 2019, arXiv:1910.02054."""
Named = Sequence[tuple[str, nn.Parameter]]


class Layout:
    """All of it in this process, and the base of the others."""

    is_whole = True
    """Whether one rank alone may call what ``whole`` gives."""
    can_begin_again = True
    """Whether all ranks can compute a step anew that one of them gave up in the middle."""

    def __init__(self, model: Decoder, ranks: Ranks = ALONE) -> None:
        self.model, self.ranks = model, ranks
        self.data = ranks
        """Those that share the rows of a batch; the gradients are the mean of theirs."""
        self._replica = Replica(model)

    def rows(self, windows: Tensor) -> Tensor:
        """This rank's share of a batch, whose rows are a multiple of the ranks: (B / N, T+1)."""
        share = len(windows) // self.data.world_size
        return windows[self.data.rank * share : (self.data.rank + 1) * share]

    def compute(self, deed: Callable[..., T], *given: Any) -> T:
        """``deed(model, *given)``, whose loss goes backward into this rank's gradients."""
        return self._replica(deed, *given)  # type: ignore[no-any-return]

    def accumulate(
        self,
        micros: Sequence[Tensor],
        forward: Callable[[Tensor], Tensor],
        backward: Callable[[Tensor], None],
    ) -> None:
        """Each micro-batch of a step ``forward``, by ``compute``, and what comes of it back."""
        for number, micro in enumerate(micros, 1):
            with self.sharing(is_last=number == len(micros)):
                backward(forward(micro))

    def give_up(self) -> None:
        """Take part in what the others still do in a step that ended early on this rank."""

    def begin_again(self) -> None:
        """Forget what a step left behind that some rank gave up; every rank calls it."""
        self.model.zero_grad(set_to_none=True)

    def total(self, loss: Tensor) -> Tensor:
        """The loss of a batch, of what each rank has seen of it."""
        return self.ranks.add_up(loss)

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

    def norm(self, tensors: Sequence[Tensor | None]) -> Tensor:
        """The Euclidean norm of one tensor of each parameter, if it has one: () on their device."""
        found = [tensor for tensor in tensors if tensor is not None]
        return torch.nn.utils.get_total_norm(found, foreach=True)

    @contextmanager
    def whole(self) -> Iterator[Decoder]:
        """The model, to be called by itself, by all ranks in one order."""
        yield self.model

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
    model: Decoder,
    ranks: Ranks,
    *,
    shard: str = "none",
    bucket_mb: int = 25,
    tp: int = 1,
    pp: int = 1,
    precision: str = "fp32",
) -> Layout:
    """The model on all ranks, which have made the same weights."""
    if not ranks.are_many:
        return Layout(model)
    spread = partial(_spread, shard=shard, bucket_mb=bucket_mb, is_streaming=pp == 1)
    if tp * pp == 1:
        return spread(model, ranks)
    from tissu_core.parallel.divided import Divided  # noqa: PLC0415
    from tissu_core.parallel.mesh import build_mesh  # noqa: PLC0415

    mesh = build_mesh(ranks, tp=tp, pp=pp, device=model.device.type)
    dtype = next(model.parameters()).dtype if precision == "fp32" else DTYPES[precision]
    return Divided(model, mesh, lambda part: spread(part, mesh.data), dtype)


def _spread(
    model: Decoder, ranks: Ranks, *, shard: str, bucket_mb: int, is_streaming: bool
) -> Layout:
    """The same model, or part of one, on ranks that share a batch."""
    if not ranks.are_many:
        return Layout(model)
    # The layouts of torch take half a second to import, for which a run in one process has no use.
    from tissu_core.parallel.data_parallel import DataParallel, MomentsSharded  # noqa: PLC0415
    from tissu_core.parallel.model_sharded import ModelSharded  # noqa: PLC0415

    match shard:
        case "grad" | "full":
            return ModelSharded(model, ranks, is_kept=shard == "grad")
        case "optim":
            return MomentsSharded(model, ranks, bucket_mb, is_streaming=is_streaming)
        case _:
            return DataParallel(model, ranks, bucket_mb, is_streaming=is_streaming)
