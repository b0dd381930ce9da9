"""What a run leaves open, chosen for this machine and this text."""

from collections.abc import Iterator
from dataclasses import replace

from tissu_core.config.model import ModelConfig
from tissu_core.config.optimizer import OptimizerConfig
from tissu_core.config.runs import TrainRun
from tissu_core.data.chat_batches import pack
from tissu_core.data.shards import Spans, TokenShards
from tissu_core.errors import ConfigError, InputError
from tissu_core.events.shared import Noticed
from tissu_core.events.training import Planned
from tissu_core.models.count import num_parameters
from tissu_core.parallel.parts import check_parts, explain_parts
from tissu_core.runs.train.histograms import refuse_cut_tensors
from tissu_core.runs.train.plan import Plan, make_plan
from tissu_core.runs.train.run_loop import set_up_machine
from tissu_core.runs.train.sizes import MEMORISING_PASSES, Machine
from tissu_core.text.tokenizer import Tokenizer


def plan_run(
    run: TrainRun, shards: TokenShards, given: ModelConfig | None = None, num_ranks: int = 1
) -> tuple[Plan, Planned]:
    """Choose what is open, for this machine and these tokens; ``given`` goes on learning."""
    from tissu_core.models.attention_choice import check_attention
    from tissu_core.models.float8 import explain_float8
    from tissu_core.runs.train.frozen import num_learning
    from tissu_core.runtime.device import describe_device, resolve_device
    from tissu_core.runtime.precision import explain_precision

    asked = run.machine.precision
    run, machine = _on_this_machine(run, num_ranks)
    train_spans, validation_spans = shards.split(run.data.validation_fraction)
    run, num_tokens = _fit_windows(run, shards, train_spans)
    plan = make_plan(run, machine, num_tokens, shards.facts["vocab_size"], given)
    check_attention(plan.model, plan.run, resolve_device(machine.device))
    check_parts(plan.model, run.machine, num_ranks)
    refuse_cut_tensors(run, num_ranks)
    whys = [explain_precision(asked, run.machine.precision, resolve_device(machine.device))]
    if run.machine.precision == "fp8":
        whys.append(explain_float8(plan.model))
    whys.append(explain_parts(run.machine, num_ranks))
    if run.machine.compile is None and (why := _why_not_compiled(plan, num_ranks)):
        plan = replace(plan, run=replace(plan.run, machine=replace(run.machine, compile=False)))
        whys.append(why)
    optimizer = _settled(run, plan.model.hidden_size, num_ranks, is_tuning=given is not None)
    assert optimizer.name and optimizer.learning_rate
    plan = replace(
        plan,
        run=replace(
            plan.run,
            optimizer=optimizer,
            # What was asked of the tokenizer, which a small text may not fill: it is in the key.
            model=replace(plan.run.model, vocab_size=shards.facts["asked_vocab_size"]),
        ),
    )
    return plan, Planned(
        model=f"{plan.model.num_hidden_layers} layers x {plan.model.hidden_size}",
        num_parameters=num_parameters(plan.model),
        vocab_size=plan.model.vocab_size,
        context_tokens=plan.model.max_position_embeddings,
        train_tokens=train_spans.num_tokens,
        validation_tokens=validation_spans.num_tokens,
        batch_tokens=plan.run.training.batch_tokens or 0,
        steps=plan.steps,
        is_timed=run.training.minutes is not None,
        minutes=run.training.minutes or plan.seconds / 60,
        passes=plan.passes,
        optimizer=optimizer.name,
        learning_rate=optimizer.learning_rate,
        device=describe_device(resolve_device(machine.device)),
        precision=run.machine.precision,
        reasons=(*plan.reasons, *filter(None, whys)),
        learned_tokens=shards.num_learned(train_spans),
        learning_parameters=num_learning(plan.model, run.tuning.freeze),
    )


def _on_this_machine(run: TrainRun, num_ranks: int) -> tuple[TrainRun, Machine]:
    """The run with its device, precision and threads, which from now on are in use."""
    from tissu_core.runtime.device import default_threads, measure_flops, resolve_device
    from tissu_core.runtime.memory import free_bytes
    from tissu_core.runtime.precision import DTYPES, resolve_precision

    device = resolve_device(run.machine.device)
    precision = resolve_precision(run.machine.precision, device)
    threads = run.machine.threads or max(1, default_threads() // run.machine.num_workers)
    run = replace(
        run,
        machine=replace(run.machine, device=device.type, precision=precision, threads=threads),
    )
    set_up_machine(run)
    # Processes on processors share one memory; each GPU has its own, for a part of the model.
    parts = run.machine.num_parts if device.type == "cuda" else 1
    machine = Machine(
        device=device.type,
        flops=measure_flops(device, DTYPES[precision]) * num_ranks,
        num_ranks=max(1, num_ranks // run.machine.num_parts),
        num_stages=run.machine.pp,
        free_bytes=free_bytes(device) * parts,
        recompute=run.machine.checkpoint_activations,
        is_fp32=precision == "fp32",
        is_averaged=bool(run.optimizer.ema_decay),
    )
    return run, machine


def _why_not_compiled(plan: Plan, num_ranks: int) -> str:
    """Why the run is not compiled, where it need not be tried to know."""
    from tissu_core.runtime.compiler import why_not_compiled

    if num_ranks > 1:
        return "not compiled: in several processes only --compile does that"
    if plan.model.num_local_experts:
        return "not compiled: which experts a token meets is known too late"
    return why_not_compiled(plan.run.machine.device, plan.seconds)


def _settled(run: TrainRun, width: int, num_ranks: int, *, is_tuning: bool) -> OptimizerConfig:
    """The optimizer with its name and its numbers filled in."""
    from tissu_core.training.optim import default_learning_rate, default_weight_decay

    optimizer, shard = run.optimizer, run.machine.shard
    is_cut = num_ranks > 1 and shard in ("grad", "full")  # and Muon needs a matrix whole
    cutting = f"--shard {shard}" if is_cut else f"--tp {run.machine.tp}"
    is_cut = is_cut or run.machine.tp > 1
    name = optimizer.name or ("adamw" if is_tuning or is_cut else "muon")
    if is_cut and name == "muon":
        raise ConfigError(
            f"{cutting} cuts each matrix, and muon needs it whole",
            field="optimizer.name",
            hint="--optimizer adamw, or " + ("--pp" if run.machine.tp > 1 else "--shard optim"),
        )
    rate, decay = optimizer.learning_rate, optimizer.weight_decay
    return replace(
        optimizer,
        name=name,
        learning_rate=rate or default_learning_rate(name, width, is_tuning=is_tuning),
        weight_decay=default_weight_decay(name) if decay is None else decay,
    )


def _fit_windows(run: TrainRun, shards: TokenShards, spans: Spans) -> tuple[TrainRun, int]:
    """What kind of data is read, and the tokens of a pass.

    Of conversations, windows that hold the longest, and with the tokens their empty rests.

    Raises:
        InputError: If there is one conversation, and none to measure on.
    """
    if shards.targets is None:
        return replace(run, data=replace(run.data, format="text")), spans.num_tokens
    if not len(spans.lengths):
        raise InputError(
            "there is one conversation, and another is needed to measure on",
            hint="name more conversations",
        )
    longest = int(shards.documents.lengths.max()) - 1
    context = run.model.context_tokens or max(8, 1 << (longest - 1).bit_length())
    context = min(context, run.data.conversation_tokens or context)
    model, data = replace(run.model, context_tokens=context), replace(run.data, format="chats")
    return replace(run, model=model, data=data), len(pack(spans.lengths, context + 1)) * context + 1


def plan_notices(plan: Plan, shards: TokenShards) -> Iterator[Noticed]:
    """What a person should know of a plan."""
    tokenizer = Tokenizer.load(shards.directory)
    if not tokenizer.is_exact:
        yield Noticed(
            level="info",
            text="this tokenizer does not keep every text as it is: the bits per byte of this run "
            "count the bytes of its tokens; tissu eval ppl counts those of the text",
        )
    if not tokenizer.is_exportable:
        yield Noticed(
            level="info",
            text="transformers reads this tokenizer; programs with tokenizers of their own, such "
            "as llama.cpp, do not",
        )
    if plan.passes > MEMORISING_PASSES:
        yield Noticed(
            level="warning",
            text=f"the text will be seen {plan.passes:.1f} times: beyond "
            f"{MEMORISING_PASSES:g} a model memorises more than it learns; more text, fewer "
            "--epochs or --patience 3 help",
        )
    from tissu_core.models.families import TISSU, family_for
    from tissu_core.runs.train.frozen import frozen_notices

    yield from frozen_notices(plan.model, plan.run.tuning.freeze)
    if family_for(plan.model) is TISSU:
        yield Noticed(
            level="warning",
            text="no other program computes this architecture; the model is saved as model_type "
            '"tissu", which only tissu reads',
        )
