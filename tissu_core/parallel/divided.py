"""One model over several ranks: parts of its layers, some of its layers, or both."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from tissu_core.models.decoder import Decoder
from tissu_core.parallel.layouts import Layout, Named
from tissu_core.parallel.mesh import Mesh
from tissu_core.parallel.pipeline import TIED, Pipeline, add_up_tied, cut_stages
from tissu_core.parallel.sums import add_up_all, average
from tissu_core.parallel.tensor_parallel import cut_layers, is_of_heads, joined_parts, part

T = TypeVar("T")


class Divided(Layout):
    """A model cut in place, and how its copies lie: the layout ``over`` the ranks of like parts."""

    can_begin_again = False  # each layer or stage waits for what another rank computes

    def __init__(
        self,
        model: Decoder,
        mesh: Mesh,
        over: Callable[[Decoder], Layout],
        dtype: torch.dtype,
    ) -> None:
        """``dtype`` is that of what goes from stage to stage."""
        self._mesh = mesh
        self._whole = _without_memory(model)
        weight = next(model.parameters())
        self._device, self._dtype = weight.device, weight.dtype
        self._cut = cut_layers(model, mesh.tp) if mesh.tp.are_many else {}
        if mesh.pp.are_many:
            cut_stages(model, mesh.pp)
        super().__init__(model, mesh.ranks)
        self.data = mesh.data
        self._over = over(model)
        self._pipeline = Pipeline(model, mesh.pp, dtype)
        is_tied = model.config.tie_word_embeddings and mesh.pp.are_many
        self._is_tied = is_tied and (mesh.is_first or mesh.is_last)

    def rows(self, windows: Tensor) -> Tensor:
        """The same on all ranks of a copy."""
        return self._over.rows(windows)

    def compute(self, deed: Callable[..., T], *given: Any) -> T:
        """The deed is the last stage's; the others have layers that lead there."""
        if not self._mesh.is_last:
            return self._over.compute(self._pipeline.hidden, *given)  # type: ignore[return-value]
        return self._over.compute(deed, *given)

    def accumulate(
        self,
        micros: Sequence[Tensor],
        forward: Callable[[Tensor], Tensor],
        backward: Callable[[Tensor], None],
    ) -> None:
        """One after the other, or all of them through the stages."""
        run = self._pipeline.run if self._mesh.pp.are_many else self._over.accumulate
        run(micros, forward, backward)

    def total(self, loss: Tensor) -> Tensor:
        """All parts of a layer know the same loss, and the stages before the last know none."""
        return self.ranks.add_up(loss if self._mesh.tp.is_main else torch.zeros_like(loss))

    def parameters(self) -> Named:
        """This rank's part of each that is here."""
        return self._over.parameters()

    def owned(self) -> Named:
        """Of those, what the optimizer of this rank moves."""
        return self._over.owned()

    def take_gradients(self) -> None:
        """What each rank knows a part of is added up.

        What is whole on all of them has the same gradient everywhere; the mean of it keeps the
        ranks together even where a GPU's sums come out in another order.
        """
        self._over.take_gradients()
        found = {name: p.grad for name, p in self.parameters() if p.grad is not None}
        if self._mesh.tp.are_many:
            whole = {name: grad for name, grad in found.items() if name not in self._cut}
            add_up_all([g for n, g in whole.items() if is_of_heads(n)], self._mesh.tp)
            average([g for n, g in whole.items() if not is_of_heads(n)], self._mesh.tp)
        if self._is_tied and TIED in found:
            add_up_tied(found[TIED], self._mesh.pp)

    def after_step(self) -> None:
        """Tell the others what the optimizer of this rank moved."""
        self._over.after_step()

    def norm(self, tensors: Sequence[Tensor | None]) -> Tensor:
        """Over the parts of all ranks, and once over what several of them hold whole."""
        named = zip(self.parameters(), tensors, strict=True)
        counted = [tensor for (name, _), tensor in named if self._is_counted(name)]
        # Where all is frozen, torch's norm of nothing is one on the processor, in fp32.
        square = self._over.norm(counted).to(self._device, self._dtype).square()
        return self._mesh.pp.add_up(self._mesh.tp.add_up(square)).sqrt()

    def _is_counted(self, name: str) -> bool:
        return not self._is_second(name) and (name in self._cut or self._mesh.tp.is_main)

    def _is_second(self, name: str) -> bool:
        """Whether it is the last stage's copy of what the first has, too."""
        return self._is_tied and not self._mesh.is_first and name in (TIED, "lm_head.weight")

    @contextmanager
    def whole(self) -> Iterator[Decoder]:
        """A copy with all weights on every rank, meanwhile."""
        weights = self.ranks.spread(self.weights(), self._device)
        self._whole.load_state_dict(weights, assign=True)
        del weights
        try:
            yield self._whole.eval()
        finally:
            self._whole.to_empty(device="meta")

    def weights(self) -> dict[str, Tensor]:
        """Parts are joined in turn, and the main rank gets them."""
        held = self._over.weights() or self.model.state_dict()
        return self._of_main_copy(held, lambda name: name)

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """This rank's part of each that is here."""
        held = {name: weights[name] for name in self.model.state_dict()}
        self._over.load_weights({name: self._part(name, own) for name, own in held.items()})

    def gathered(self, moments: dict[str, Tensor]) -> dict[str, Tensor]:
        """As the weights; a count of steps is no part of anything."""
        return self._of_main_copy(self._over.gathered(moments), _parameter_of)

    def scattered(self, moments: dict[str, Tensor]) -> dict[str, Tensor]:
        """This rank's part of each that is here."""
        here = {name for name, _ in self.parameters()}
        held = {key: own for key, own in moments.items() if _parameter_of(key) in here}
        return self._over.scattered(
            {key: self._part(_parameter_of(key), own) for key, own in held.items()}
        )

    def _part(self, name: str, whole: Tensor) -> Tensor:
        return part(whole, self._cut[name], self._mesh.tp) if self._is_cut(name, whole) else whole

    def _is_cut(self, name: str, tensor: Tensor) -> bool:
        return name in self._cut and tensor.ndim > self._cut[name]

    def _of_main_copy(
        self, held: dict[str, Tensor], name_of: Callable[[str], str]
    ) -> dict[str, Tensor]:
        """Whole on the main rank, from those that share its copy of the model."""
        kept = {}
        for key, own in held.items() if self._mesh.is_of_main_copy else ():
            name = name_of(key)
            if self._is_second(name):
                continue
            is_cut = self._is_cut(name, own)
            whole = joined_parts(own, self._cut[name], self._mesh.tp) if is_cut else own
            if self._mesh.tp.is_main:
                kept[key] = whole.detach().cpu()
        return self.ranks.collect(kept)


def _parameter_of(moment: str) -> str:
    return moment.rpartition("/")[0]


def _without_memory(model: Decoder) -> Decoder:
    """The same model with all its settings, on the meta device."""
    empty = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=False)
        for p in model.parameters()
    }
    return copy.deepcopy(model, empty)
