"""A peer's model, optimizer and schedule trained for a time, on the tokens of a tissu run.

``python benchmarks/peer_training.py nanogpt CHECKOUT SHARDS HELD SECONDS`` prints the bits per byte
of held-out text; ``nanochat`` stands in the same place. The time counts from the start of the
process, importing and compiling included; the text is tokens before it, and evaluation comes after
it: both are gifts. Shape, batch and rates are the best found for each on 2 cores: 4 layers x 256,
context 128, 24 sequences, compiled; in bf16 where the processor multiplies it, else in fp32, which
is 30 times faster there.
"""

import argparse
import importlib.util
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STARTED = time.monotonic()
LAYERS, WIDTH, HEADS, CONTEXT, BATCH = 4, 256, 4, 128, 24


@dataclass(frozen=True)
class Peer:
    """What trains: the loss of ids and targets, and one step at a share of the time."""

    loss: Callable[..., Any]
    optimizer: Any
    schedule: Callable[[float, int], None]
    """Sets the optimizer's rates for a share of the time and the number of the step."""
    clip_norm: float | None


def nanogpt_module(checkout: Path) -> Any:
    """What its model.py defines."""
    spec = importlib.util.spec_from_file_location("nanogpt_model", checkout / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nanogpt(checkout: Path, vocab_size: int) -> Peer:
    """As its train.py does, with the rate that was best here."""
    import torch

    from tissu_core.runtime.precision import cpu_has_bf16

    module = nanogpt_module(checkout)
    sizes = {"n_layer": LAYERS, "n_embd": WIDTH, "n_head": HEADS, "block_size": CONTEXT}
    model = module.GPT(module.GPTConfig(vocab_size=vocab_size, dropout=0.0, bias=False, **sizes))
    optimizer = model.configure_optimizers(0.1, 2e-3, (0.9, 0.95), "cpu")
    compiled = torch.compile(model)

    def schedule(progress: float, step: int) -> None:
        rate = 2e-3 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = min(rate, 2e-3 * (step + 1) / 100)

    is_bf16 = cpu_has_bf16()

    def loss(ids: Any, targets: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            return compiled(ids, targets)[1]

    return Peer(loss, optimizer, schedule, 1.0)


def nanochat(checkout: Path, vocab_size: int) -> Peer:
    """Its model, optimizer groups and schedules; the head and embeddings padded as it does."""
    from tissu_core.runtime.precision import cpu_has_bf16

    os.environ["NANOCHAT_DTYPE"] = "bfloat16" if cpu_has_bf16() else "float32"
    sys.path.insert(0, str(checkout))
    import torch
    from nanochat.gpt import GPT, GPTConfig

    sizes = {"n_layer": LAYERS, "n_embd": WIDTH, "n_head": HEADS, "n_kv_head": HEADS}
    config = GPTConfig(sequence_len=CONTEXT, vocab_size=vocab_size, window_pattern="L", **sizes)
    with torch.device("meta"):
        model = GPT(config)
    model.to_empty(device="cpu")
    model.init_weights()
    optimizer = model.setup_optimizer(unembedding_lr=0.008, embedding_lr=0.3, matrix_lr=0.02)
    compiled = torch.compile(model, dynamic=False)

    def schedule(progress: float, step: int) -> None:
        down = (1 - progress) / 0.65
        scale = min(1.0, (step + 1) / 40, down + (1 - down) * 0.05)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * scale
            if group["kind"] == "muon":
                up = min(1.0, step / 400)
                group["momentum"] = min(0.85 + 0.12 * up, 0.90 + 0.07 * min(1.0, down))
                group["weight_decay"] = 0.28 * 0.5 * (1 + math.cos(math.pi * progress))

    return Peer(lambda ids, targets: compiled(ids, targets), optimizer, schedule, None)


def train(peer: Peer, batches: Iterator[tuple[Any, Any]], seconds: float) -> int:
    """Steps until the time is over, and three at least: the first ones compile. How many."""
    import torch

    began = time.monotonic()
    step = 0
    while (now := time.monotonic()) - STARTED < seconds or step < 3:
        # Compilation, in the first step, is no part of the schedule.
        began = now if step == 1 else began
        left = max(1e-9, seconds - (began - STARTED))
        peer.schedule(min(1.0, (now - began) / left) if step else 0.0, step)
        loss = peer.loss(*next(batches))
        loss.backward()
        if peer.clip_norm is not None:
            parameters = [p for group in peer.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, peer.clip_norm)
        peer.optimizer.step()
        peer.optimizer.zero_grad(set_to_none=True)
        step += 1
    return step


def windows(tokens: Any) -> Iterator[tuple[Any, Any]]:
    """Batches of random windows over the text."""
    import torch

    stream = torch.from_numpy(tokens.astype("int64"))
    while True:
        starts = torch.randint(len(stream) - CONTEXT, (BATCH,))
        rows = stream[starts[:, None] + torch.arange(CONTEXT + 1)]
        yield rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def bits_per_byte(peer: Peer, tokenizer: Any, held: Path) -> float:
    """Of each file, in windows of the context end to end; what is left of the last is left out."""
    import torch

    nats = num_bytes = 0.0
    for path in sorted(held.iterdir()):
        ids = torch.tensor(tokenizer.encode(path.read_text("utf-8")))
        count = max(0, len(ids) - 1) // CONTEXT  # of an empty file, none
        seen = count * CONTEXT
        if not seen:
            continue
        rows, targets = ids[:seen].view(-1, CONTEXT), ids[1 : seen + 1].view(-1, CONTEXT)
        num_bytes += len(tokenizer.decode(ids[1 : seen + 1].tolist()).encode())
        with torch.no_grad():
            for part, expected in zip(rows.split(BATCH), targets.split(BATCH), strict=True):
                nats += float(peer.loss(part, expected)) * part.numel()
    return nats / math.log(2) / num_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=("nanogpt", "nanochat"))
    parser.add_argument("checkout", type=Path)
    parser.add_argument("shards", type=Path, help="tokens and tokenizer of the training text")
    parser.add_argument("held", type=Path, help="a folder of text that nobody trains on")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    import torch

    from tissu_core.data.shards import TokenShards
    from tissu_core.text.tokenizer import Tokenizer

    torch.manual_seed(asked.seed)
    shards, tokenizer = TokenShards(asked.shards), Tokenizer.load(asked.shards)
    peer = {"nanogpt": nanogpt, "nanochat": nanochat}[asked.peer](
        asked.checkout, tokenizer.vocab_size
    )
    steps = train(peer, windows(shards.tokens), asked.seconds)
    score = bits_per_byte(peer, tokenizer, asked.held)
    print(json.dumps({"bits_per_byte": score, "tokens": steps * BATCH * CONTEXT}))


if __name__ == "__main__":
    main()
