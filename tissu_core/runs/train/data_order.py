"""The order in which a run reads its text. Needs no torch."""

from tissu_core.config.runs import TrainRun
from tissu_core.data.batch_sizes import batch_sizes
from tissu_core.data.batches import BatchOrder
from tissu_core.data.chat_batches import ChatOrder
from tissu_core.data.shards import TokenShards
from tissu_core.runs.train.stored_run import DataSeam


def data_order(
    run: TrainRun, shards: TokenShards, seam: DataSeam, context: int, step: int
) -> BatchOrder:
    """The order of a resolved run from ``step`` on, in windows of ``context`` targets."""
    sizes = batch_sizes(run.training, context)
    first = min(step, seam.step)  # a fallback may lie before the seam
    train_spans, _ = shards.split(run.data.validation_fraction)
    window = max(0, seam.window - sizes.before(seam.step) + sizes.before(first))
    begun = {"seed": run.training.seed, "first_step": first, "first_window": window}
    tokens, targets = shards.tokens, shards.targets
    if targets is None:
        return BatchOrder(tokens, train_spans, context=context, sizes=sizes, **begun)
    return ChatOrder(tokens, targets, train_spans, context=context, sizes=sizes, **begun)
