"""Training speed in nanoGPT's shape: 6 layers, 384 wide, context 256, batch 16, vocabulary 4,096.

``python benchmarks/train_throughput.py`` trains transformers' GPT-2, and nanoGPT's with ``--nanogpt
PATH`` to a checkout, beside tissu in the same shape and in its own, each with fused AdamW; tissu's
own with Muon too. Each runs in a process of its own. A round takes one step of each in turn;
medians of tokens a second are printed, and of the ratios to the peers in the same round. GPT-2's
shape is nanoGPT's: its GELU is the exact one.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from peer_training import nanogpt_module
from torch import Tensor, nn

from tissu_core.config.model import ModelConfig
from tissu_core.models.build import build_model
from tissu_core.runtime.allocator import keep_freed_memory
from tissu_core.runtime.device import default_threads, use_deterministic_cpu
from tissu_core.runtime.precision import autocast
from tissu_core.training.objectives.next_token import next_token
from tissu_core.training.optim import build_optimizer

LAYERS, WIDTH, HEADS, CONTEXT, BATCH, VOCAB = 6, 384, 6, 256, 16, 4096
MODES = {"fp32": ("fp32", False), "bf16": ("bf16", False), "bf16 compiled": ("bf16", True)}
CPU = torch.device("cpu")
Step = Callable[[], None]

SHAPE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": HEADS,
    "head_dim": WIDTH // HEADS,
    "max_position_embeddings": CONTEXT,
}
AS_GPT2 = ModelConfig(
    **SHAPE,
    intermediate_size=4 * WIDTH,
    norm="layernorm",
    feed_forward="gelu",
    position_embedding="learned",
    tie_word_embeddings=True,
    qk_norm=False,
    use_bias=True,
)
DEFAULT = ModelConfig(**SHAPE, intermediate_size=1024)
GPT2, NANOGPT = "transformers' GPT-2", "nanoGPT"
OWN = {
    "tissu, GPT-2's shape": (AS_GPT2, "adamw"),
    "tissu, its own": (DEFAULT, "adamw"),
    "tissu, its own, Muon": (DEFAULT, "muon"),
}


def windows() -> Tensor:
    return torch.randint(16, VOCAB, (BATCH, CONTEXT + 1))


def of_peer(model: nn.Module, loss_of: Callable[[Tensor, Tensor], Tensor], precision: str) -> Step:
    """A step as a script of one's own would write it."""
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)

    def step() -> None:
        ids = windows()
        with autocast(CPU, precision):
            loss = loss_of(ids[:, :-1], ids[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        adamw.zero_grad(set_to_none=True)

    return step


def gpt2(precision: str, *, is_compiled: bool) -> Step:
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {
        "n_layer": LAYERS,
        "n_embd": WIDTH,
        "n_head": HEADS,
        "n_positions": CONTEXT,
        "activation_function": "gelu",
    }
    dropout = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=VOCAB, use_cache=False, **sizes, **dropout))
    run = torch.compile(model) if is_compiled else model

    def loss_of(ids: Tensor, targets: Tensor) -> Tensor:
        logits = run(ids).logits
        return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return of_peer(model, loss_of, precision)


def nanogpt(checkout: Path, precision: str, *, is_compiled: bool) -> Step:
    module = nanogpt_module(checkout)
    sizes = {"n_layer": LAYERS, "n_embd": WIDTH, "n_head": HEADS, "block_size": CONTEXT}
    model = module.GPT(module.GPTConfig(vocab_size=VOCAB, dropout=0.0, bias=True, **sizes))
    run = torch.compile(model) if is_compiled else model
    return of_peer(model, lambda ids, targets: run(ids, targets.contiguous())[1], precision)


def tissu(config: ModelConfig, optimizer: str, precision: str, *, is_compiled: bool) -> Step:
    model = build_model(config, device=CPU, seed=0)
    if is_compiled:
        model.model.tables.read(CPU)
        model.model.compile()
    steps = build_optimizer(
        model, name=optimizer, learning_rate=1e-3, weight_decay=0.1, width=WIDTH
    )
    keeps = torch.tensor(False)

    def step() -> None:
        ids = windows()
        with autocast(CPU, precision):
            output = next_token(model, ids)
        (output.loss_sum / output.num_targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        steps.step(1.0, keeps)

    return step


def make(name: str, mode: str, checkout: Path | None) -> Step:
    """The contender's step, ready to run."""
    precision, is_compiled = MODES[mode]
    if name == GPT2:
        return gpt2(precision, is_compiled=is_compiled)
    if name == NANOGPT:
        assert checkout is not None
        return nanogpt(checkout, precision, is_compiled=is_compiled)
    config, optimizer = OWN[name]
    return tissu(config, optimizer, precision, is_compiled=is_compiled)


def serve(orders: Connection, name: str, mode: str, checkout: Path | None) -> None:
    """Warm up, then answer each order with the seconds of one step."""
    if name in OWN:
        use_deterministic_cpu(CPU, default_threads())  # as `tissu train` does
        keep_freed_memory()
    else:
        torch.set_num_threads(default_threads())
    started = time.perf_counter()
    step = make(name, mode, checkout)
    step()
    step()
    orders.send(time.perf_counter() - started)
    while orders.recv():
        started = time.perf_counter()
        step()
        orders.send(time.perf_counter() - started)


def measure(mode: str, checkout: Path | None, rounds: int) -> None:
    """Each contender in a process of its own, as its user would run it; rounds alternate."""
    spawn = multiprocessing.get_context("spawn")
    names = [GPT2, *([NANOGPT] if checkout else []), *OWN]
    lines = {}
    for name in names:
        lines[name], far = spawn.Pipe()
        spawn.Process(target=serve, args=(far, name, mode, checkout), daemon=True).start()
        ready = lines[name].recv()
        print(f"{mode:14} {name:22} ready after {ready:.0f} s", flush=True)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, line in lines.items():
            line.send(True)
            seconds[name].append(line.recv())
    for line in lines.values():
        line.send(False)
    for name, times in seconds.items():
        speed = BATCH * CONTEXT / statistics.median(times)
        print(f"{mode:14} {name:22} {speed:7,.0f} tok/s", end="")
        for peer in (GPT2, NANOGPT):
            if peer in seconds:
                ratio = statistics.median(
                    other / own for other, own in zip(seconds[peer], times, strict=True)
                )
                print(f"   {ratio:.2f} of {peer}", end="")
        print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nanogpt", type=Path, metavar="PATH", help="a checkout of nanoGPT")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES))
    asked = parser.parse_args()
    if asked.nanogpt is None:
        print("nanoGPT is skipped: --nanogpt PATH names a checkout")
    for mode in asked.modes:
        measure(mode, asked.nanogpt, asked.rounds)


if __name__ == "__main__":
    main()
