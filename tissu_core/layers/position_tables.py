"""What a model computes of positions rather than learns, made once for a device."""

import torch
from torch import Tensor

from tissu_core.config.model import ModelConfig
from tissu_core.layers.positions import sinusoids
from tissu_core.layers.rope import rope_tables


class PositionTables:
    """Cosines and sines of every position, or what is added to its embedding.

    Some models rotate by the length of the text; layers with a window may have a pair of cosines
    and sines of their own, which comes last.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self._made: tuple[Tensor, ...] = ()
        self._are_long = False

    def read(self, device: torch.device, length: int = 0) -> tuple[Tensor, ...]:
        """Of a text that ends at ``length``: tables (positions, R/2), or one (positions, C)."""
        is_long = self.is_long(length)
        if not self._made or self._made[0].device != device or self._are_long != is_long:
            self._are_long = is_long
            with torch.inference_mode(mode=False):  # training may be next
                self._made = self._make(device)
        return self._made

    def is_long(self, length: int) -> bool:
        """Whether a text of this length is rotated otherwise than a short one, from its start."""
        scaling = self._config.rope_scaling
        return scaling is not None and scaling.is_long(length)

    def _make(self, device: torch.device) -> tuple[Tensor, ...]:
        config, positions = self._config, self._config.max_position_embeddings
        if config.position_embedding == "sinusoidal":
            return (config.embedding_std * sinusoids(positions, config.hidden_size, device),)
        rotated, scaling = (positions, config.rotary_dim), config.rope_scaling
        pair = rope_tables(*rotated, config.rope_theta, device, scaling, is_long=self._are_long)
        if config.rope_local_base_freq is None:
            return pair
        return (*pair, *rope_tables(*rotated, config.rope_local_base_freq, device))
