"""A model as a graph of tensor operations, which programs without tissu compute."""

import logging
import warnings
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError
from tissu_core.layers.kv_cache import LayerCache
from tissu_core.models.decoder import Block, Decoder

INPUTS, OUTPUTS = ("input_ids", "past"), ("logits", "present")


class Graph(nn.Module):
    """(ids, past) to (logits, present): ids follow what past holds, and present is past and they.

    Shapes: ids (B, T); past (N, 2, B, K, S, D), keys and values of N layers, with S = 0 at first;
    logits (B, T, V); present (N, 2, B, K, S + T, D).
    """

    def __init__(self, model: Decoder) -> None:
        super().__init__()
        self.model = model
        tables = model.model.tables.read(model.device)
        for index, table in enumerate(tables):
            self.register_buffer(f"table_{index}", table.clone(), persistent=False)
        self._num_tables = len(tables)

    def forward(self, ids: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Read ids behind the past."""
        stack, config = self.model.model, self.model.config
        length = past.shape[4]
        rows = torch.arange(length, length + ids.shape[1], device=ids.device)
        tables = [getattr(self, f"table_{index}")[rows] for index in range(self._num_tables)]
        x = stack.embed_rows(ids, rows, tables)
        distance = rows[:, None] - torch.arange(length + ids.shape[1], device=ids.device)
        present = []
        for index, layer in enumerate(stack.layers):
            attention = cast(Block, layer).self_attn
            is_local, known = attention.window is not None, _Past(past[index])
            rope = None
            if config.position_embedding == "rope":
                rope = (tables[-2], tables[-1]) if is_local else (tables[0], tables[1])
            shown = distance >= 0
            if attention.window is not None:
                shown = shown & (distance < attention.window)
            if attention.slopes:
                slopes = torch.tensor(attention.slopes, device=ids.device)[:, None, None]
                shown = (-slopes * distance).masked_fill(~shown, float("-inf"))
            x = layer(x, rope, cast(LayerCache, known), None, shown)
            present.append(known.all)
        return self.model.to_logits(stack.norm(x)), torch.stack(present)


class _Past:
    """A layer's cache as a value: what is appended comes out."""

    def __init__(self, past: Tensor) -> None:
        self._past = past
        self.all = past

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        self.all = torch.cat([self._past, torch.stack([keys, values])], dim=3)
        return self.all[0], self.all[1]


def require_graph(model: Decoder) -> None:
    """Refuse models whose computation depends on what they read.

    Raises:
        ConfigError: Says what does.
    """
    found = ""
    if model.config.num_local_experts:
        found = "which expert computes a token depends on the token"
    elif model.rotates_by_length:
        found = "how positions are rotated depends on the length of the text"
    if found:
        raise ConfigError(
            f"{found}, and a graph computes the same for all",
            field="model",
            hint="tissu export gguf, or hf",
        )


def examples(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Ids and a past such as a graph is followed with."""
    cache = (config.num_hidden_layers, 2, 2, config.num_key_value_heads, 3, config.head_dim)
    return torch.zeros(2, 4, dtype=torch.long), torch.zeros(cache)


@torch.no_grad()
def to_program(model: Decoder) -> torch.export.ExportedProgram:
    """The graph with any number of rows and tokens, and any past that the context holds.

    Raises:
        ConfigError: As ``require_graph``.
    """
    require_graph(model)
    most = model.config.max_position_embeddings
    batch, time = torch.export.Dim("batch", max=4096), torch.export.Dim("time", max=most)
    past = torch.export.Dim("past", min=0, max=most)
    return torch.export.export(
        Graph(model).eval(),
        examples(model.config),
        dynamic_shapes=({0: batch, 1: time}, {2: batch, 4: past}),
        strict=False,
    )


@torch.no_grad()
def write_onnx(program: torch.export.ExportedProgram, path: Path, *, is_apart: bool) -> None:
    """The graph as ONNX; the weights stand in ``path`` + ".data" if they are ``is_apart``."""
    # What it logs and warns of is about its own packages.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(category=Warning, action="ignore"):
        exported = torch.onnx.export(
            program,
            dynamo=True,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            verbose=False,
        )
    assert exported is not None
    exported.save(str(path), external_data=is_apart)


@torch.no_grad()
def write_torchscript(model: Decoder, path: Path) -> None:
    """The graph as TorchScript, followed by one example.

    Raises:
        ConfigError: As ``require_graph``.
    """
    require_graph(model)
    with warnings.catch_warnings(category=Warning, action="ignore"):  # its deprecation is said
        trace: Any = torch.jit.trace
        trace(Graph(model).eval(), examples(model.config), check_trace=False).save(str(path))


def list_nodes(program: torch.export.ExportedProgram) -> list[dict[str, Any]]:
    """Each operation: its name, what it computes, of which others, and the shape of the result."""
    return [
        {
            "name": node.name,
            "operation": str(node.target),
            "inputs": [used.name for used in node.all_input_nodes],
            "shape": [str(size) for size in getattr(node.meta.get("val"), "shape", ())],
        }
        for node in program.graph.nodes
        if node.op == "call_function"
    ]
