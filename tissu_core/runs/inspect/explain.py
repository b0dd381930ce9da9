"""The verb inspect explain: what each word of a prompt adds to what comes after it."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tissu_core.config.explanation import ExplainConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import InputError, ResourceError
from tissu_core.events.attributions import ExplainEvent, PartAttributed, PromptExplained
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.models.count import num_parameters
from tissu_core.runs.catalog import find_model
from tissu_core.runs.inspect.prompt import ReadPrompt, read_prompt
from tissu_core.runs.inspect.target import neutral_id, ways_to_write
from tissu_core.runs.tokenize.figures import written, written_id
from tissu_core.text.word_groups import group_words

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel
    from tissu_core.interpret.attribution.question import Attribution, Question

_MANY_READINGS = 4096


def explain_prompt(
    model: str | None,
    prompt: str,
    *,
    target: str | None,
    explain: ExplainConfig,
    machine: DeviceConfig,
) -> Iterator[ExplainEvent]:
    """What each part of a prompt adds to log p(target | prompt); the last event is the result.

    Without a target it is the model's own likeliest next token.

    Raises:
        InputError: If the model cannot be read or its weights are no numbers, or the prompt or the
            target is empty.
        ConfigError: If the prompt is too long, or the neutral token is not one token.
        ResourceError: If gradients through packed weights do not fit memory.
    """
    find_model(model)
    from tissu_core.runs.loading import load_for_use

    loaded, _ = load_for_use(model, machine)
    yield from loaded.notices
    read = read_prompt(loaded, prompt)
    neutral = _neutral(loaded, explain)
    ways = [] if target is None else ways_to_write(loaded, prompt, read.ids, target)
    loaded = yield from _unpacked(loaded, explain.method)
    likeliest, log_prob = _likeliest(loaded, read.ids)
    question = _ask(loaded, read, neutral, explain.by)
    if ways:
        chosen = yield from _likelier(loaded, question, ways)
    question = replace(question, target=chosen if ways else [likeliest])
    if explain.method == "ig" and loaded.model.config.num_local_experts:
        yield Noticed(
            level="warning",
            text="a mixture of experts jumps where a token goes to another expert, and gradients "
            "do not see jumps; --method shap does",
        )
    found = yield from _attributed(question, explain)
    told = _told(loaded, question, found)
    yield PromptExplained(
        method=explain.method,
        by=explain.by,
        prompt=prompt,
        is_own_target=target is None,
        likeliest=written_id(loaded.tokenizer, likeliest),
        likeliest_log_prob=log_prob,
        **told,
    )


def _told(loaded: "LoadedModel", question: "Question", found: "Attribution") -> dict[str, Any]:
    """What of the event is of the question and its answer."""
    pieces, neutral = loaded.tokenizer.pieces, question.neutral
    tokens = tuple(written_id(loaded.tokenizer, id) for id in question.target)
    return {
        "model": str(loaded.path),
        "target": written(b"".join(pieces[id] for id in question.target)) or tokens[0],
        "target_tokens": tokens,
        "log_prob": found.whole,
        "neutral": "" if neutral is None else written_id(loaded.tokenizer, neutral),
        "neutral_log_prob": found.empty,
        "parts": tuple(
            PartAttributed(
                text=written(b"".join(pieces[id] for id in question.ids[part.start : part.stop])),
                first_token=part.start - 1,
                num_tokens=len(part),
                value=value,
                error=error,
            )
            for part, value, error in zip(question.parts, found.values, found.errors, strict=True)
        ),
        "sum_of_values": sum(found.values),
        "gap": found.gap,
        "readings": found.readings,
        "is_exact": found.is_exact,
        "fit": found.fit,
    }


def _unpacked(loaded: "LoadedModel", method: str) -> "Generator[Noticed, None, LoadedModel]":
    """The model with whole matrices where these fit, as packed ones are unpacked for each batch.

    Raises:
        ResourceError: If they do not, and the method needs gradients, which keep them all.
    """
    from tissu_core.models.packed import packing_of, unpacked
    from tissu_core.runtime.memory import free_bytes

    packing = packing_of(loaded.model)
    needed = 4 * num_parameters(loaded.model.config)
    free = free_bytes(loaded.model.device)
    if not packing:
        return loaded
    if needed < free / 2:
        yield Noticed(
            level="info",
            text=f"{packing} weights are unpacked to fp32, {needed / 1e9:.2g} GB, to be read fast",
        )
        return replace(loaded, model=unpacked(loaded.model))
    if method == "ig":
        raise ResourceError(
            f"gradients through {packing} weights keep them in fp32, {needed / 1e9:.3g} GB, and "
            f"{free / 1e9:.3g} GB of memory are free",
            hint="--method shap",
        )
    return loaded


def _likeliest(loaded: "LoadedModel", ids: list[int]) -> tuple[int, float]:
    """The likeliest next token of the vocabulary, and its log-probability.

    Of a head that is padded to more rows no token is the answer.

    Raises:
        InputError: If there is none, as weights are no numbers.
    """
    import torch

    from tissu_core.compress.finite import require_finite

    require_finite(loaded.model, "spoils every probability")
    with torch.no_grad():
        read = torch.tensor([ids], device=loaded.model.device)
        log_probs = loaded.model(read, last_only=True)[0, -1].float().log_softmax(-1)
    if not torch.isfinite(log_probs).all():
        raise InputError(
            "what the model computes of the prompt overflows: there is no probability to explain",
            hint="use another checkpoint, or another prompt",
        )
    best = int(log_probs[: loaded.tokenizer.vocab_size].argmax())
    return best, float(log_probs[best])


def _neutral(loaded: "LoadedModel", explain: ExplainConfig) -> int | None:
    """The token that stands where a part is away; none where the mean embedding does."""
    if explain.method == "ig" and explain.neutral is None:
        return None
    return neutral_id(loaded, " " if explain.neutral is None else explain.neutral)


def _ask(loaded: "LoadedModel", read: ReadPrompt, neutral: int | None, by: str) -> "Question":
    from tissu_core.interpret.attribution.question import Question

    own = read.ids[1:]
    pieces = [loaded.tokenizer.pieces[id] for id in own]
    groups = group_words(pieces) if by == "word" else [range(i, i + 1) for i in range(len(own))]
    parts = [range(group.start + 1, group.stop + 1) for group in groups]
    return Question(loaded.model, read.ids, [], neutral, parts)


def _likelier(
    loaded: "LoadedModel", question: "Question", ways: list[list[int]]
) -> Generator[Noticed, None, list[int]]:
    """Of the ways to write the target, the one that the model would sooner write."""
    if len(ways) == 1:
        return ways[0]
    import torch

    ids = torch.tensor([question.ids], device=loaded.model.device)
    with torch.no_grad():
        scores = [float(replace(question, target=way).log_probs(ids)) for way in ways]
    best = max(range(len(ways)), key=scores.__getitem__)
    if best:
        yield Noticed(
            level="info", text="the target follows a space, which the model finds likelier"
        )
    return ways[best]


def _attributed(
    question: "Question", explain: ExplainConfig
) -> "Generator[StageAdvanced | Noticed, None, Attribution]":
    from tissu_core.interpret.attribution import integrated_gradients, lime, shapley

    parts, samples = question.num_parts, explain.samples
    match explain.method:
        case "shap":
            total = shapley.readings_of(parts, samples)
            found = shapley.iter_shapley(question, samples, explain.seed)
        case "lime":
            total = lime.readings_of(parts, samples)
            found = lime.iter_lime(question, samples, explain.seed)
        case _:
            total = 0
            found = integrated_gradients.iter_integrated_gradients(question)
    if total > max(samples, _MANY_READINGS):
        yield Noticed(
            level="info",
            text=f"{parts:,} {explain.by}s take {total:,} readings; --method ig takes far fewer",
        )
    while True:
        try:
            done = next(found)
        except StopIteration as end:
            attribution: Attribution = end.value
            break
        yield StageAdvanced(stage="reading", done=done, total=total, unit="readings")
    if explain.method == "ig" and attribution.gap > integrated_gradients.MOST_GAP:
        yield Noticed(
            level="warning",
            text=f"after {integrated_gradients.MOST_STEPS} steps the sum is still "
            f"{attribution.gap:.1%} off; --method shap sums up whatever the model",
        )
    return attribution
