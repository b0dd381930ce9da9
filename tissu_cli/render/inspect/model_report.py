"""A model's modules and costs in the terminal."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.tables import facts_table
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_core.runs.inspect.model import ModelReport

_COUNTS = {  # shown as rows of their own
    "vocab_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
}


def model_report(report: "ModelReport") -> RenderableType:
    """The tree of modules, then what the model is and costs."""
    return Group(_modules_table(report), Text(), facts_table(_facts(report)))


def _modules_table(report: "ModelReport") -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    table.add_column("module", no_wrap=True)
    table.add_column("kind")
    table.add_column("parameters", justify="right")
    table.add_column("share", justify="right")
    for module in report.modules:
        depth = module.path.count(".") + 1 if module.path else 0
        name = module.path.rsplit(".", 1)[-1] or "model"
        times = f" x {module.count}" if module.count > 1 else ""
        share = module.num_parameters / max(1, report.num_parameters)
        table.add_row(
            Text("  " * depth + sanitize_line(name)),
            module.kind + times,
            f"{module.num_parameters:,}",
            f"{share:.1%}",
        )
    return table


def _facts(report: "ModelReport") -> list[tuple[str, object]]:
    config = report.config
    dtypes = ", ".join(f"{numbers.size(n)} {name}" for name, n in report.bytes_by_dtype.items())
    rest = {name: value for name, value in asdict(config).items() if value not in (None, ())}
    if config.rope_scaling is not None:
        rest["rope_scaling"] = f"{config.rope_scaling.rope_type} x {config.rope_scaling.factor:g}"
    return [
        ("model", report.path),
        ("parameters", f"{report.num_parameters:,}"),
        ("on disk", dtypes),
        (
            "operations",
            f"{numbers.count(report.forward_flops_per_token)} a token forward, "
            f"{numbers.count(report.train_flops_per_token)} in training, at a full context",
        ),
        (
            "KV cache",
            f"{numbers.size(report.kv_bytes_per_token)} a token, "
            f"{numbers.size(report.kv_bytes)} for a full context",
        ),
        ("context", f"{config.max_position_embeddings:,} tokens"),
        ("vocabulary", f"{config.vocab_size:,} tokens"),
        (
            "heads",
            f"{config.num_attention_heads} of {config.head_dim} channels, "
            f"{config.num_key_value_heads} for keys and values",
        ),
        (
            "architecture",
            ", ".join(f"{name} {value}" for name, value in rest.items() if name not in _COUNTS),
        ),
    ]
