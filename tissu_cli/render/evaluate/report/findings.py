"""What a report's sections show: the drawings of the single commands, and a line of each."""

from collections.abc import Iterator

from rich.console import Group, RenderableType

from tissu_cli.render.evaluate.adversarial import adversarial_report
from tissu_cli.render.evaluate.compared import compared_view
from tissu_cli.render.evaluate.harness import harness_table
from tissu_cli.render.evaluate.leaks import leaks_view
from tissu_cli.render.evaluate.passages import passages_view
from tissu_cli.render.evaluate.perplexity import perplexity_view
from tissu_cli.render.evaluate.speed import operations_view, speed_view
from tissu_cli.render.evaluate.suites import interval, scores_view
from tissu_core.events.compared import ModelsCompared, WorstFound
from tissu_core.events.harness import HarnessFinished
from tissu_core.events.measures import PerplexityMeasured, SpeedMeasured
from tissu_core.events.operations import OperationsTimed
from tissu_core.events.report import Finding, ReportMade, SectionMade
from tissu_core.events.sources import LeaksFound
from tissu_core.events.suites import HardScored, SuiteScored


def section_view(section: SectionMade, *, is_coloured: bool) -> RenderableType:
    """All that a section found, as its own command draws it."""
    return Group(*(_draw(found, is_coloured=is_coloured) for found in section.findings))


def _draw(found: Finding, *, is_coloured: bool) -> RenderableType:
    match found:
        case PerplexityMeasured():
            return perplexity_view(found)
        case ModelsCompared():
            return compared_view(found)
        case SuiteScored():
            return scores_view([found])
        case HarnessFinished():
            return harness_table(found)
        case HardScored():
            return adversarial_report(found)
        case WorstFound():
            return passages_view(found, is_coloured=is_coloured)
        case LeaksFound():
            return leaks_view(found)
        case SpeedMeasured():
            return speed_view(found)
        case OperationsTimed():
            return operations_view(found)


def summary(report: ReportMade) -> Iterator[tuple[str, str]]:
    """What was measured and what it came to, a line or two of each section."""
    for section in report.sections:
        if section.error:
            yield section.title, f"failed: {section.error}"
        for found in section.findings:
            yield from _lines(found)


def _lines(found: Finding) -> Iterator[tuple[str, str]]:
    match found:
        case PerplexityMeasured():
            yield "bits per byte", f"{found.bits_per_byte:.4f}"
            yield "perplexity per token", f"{found.perplexity:.3f}"
        case ModelsCompared():
            yield from _compared(found)
        case SuiteScored():
            yield f"{found.suite} ({found.metric})", f"{100 * found.value:.1f} ({interval(found)})"
        case HarnessFinished():
            for score in found.scores:
                error = "" if score.standard_error is None else f" ± {score.standard_error:.4f}"
                yield f"{score.task} ({score.metric})", f"{score.value:.4f}{error}"
        case HardScored():
            for kind in found.kinds:
                plain, harder = f"{100 * kind.plain:.1f}", f"{100 * kind.hard:.1f}"
                yield f"{kind.kind}: plain, harder", f"{plain}, {harder}"
        case WorstFound():
            worst = found.passages[0].bits_per_byte if found.passages else found.bits_per_byte
            yield "worst passage", f"{worst:.4f} bits per byte"
        case LeaksFound():
            for source in found.sources:
                share = f"{source.num_leaked:,} of {source.num_items:,} items"
                yield f"{source.source}: in the training corpus", share
        case SpeedMeasured():
            yield from _speed(found)
        case OperationsTimed():
            yield from _operations(found)


def _compared(found: ModelsCompared) -> Iterator[tuple[str, str]]:
    for each in found.models[1:]:
        bounds = "" if each.low is None else f" ({each.low:+.4f} to {each.high:+.4f})"
        yield f"bits per byte of {each.model} over it", f"{each.difference:+.4f}{bounds}"


def _speed(found: SpeedMeasured) -> Iterator[tuple[str, str]]:
    for point in found.points:
        price = point.price_per_million_tokens
        costs = "" if price is None else f", {price:.3g} a million"
        told = f"{point.decode_tokens_per_second:,.1f}{costs}"
        yield f"tokens/s, {point.batch} x {point.context:,}", told


def _operations(found: OperationsTimed) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys(way.operation for way in found.ways):
        ways = [way for way in found.ways if way.operation == name]
        best = min(ways, key=lambda way: way.median_seconds)
        yield f"{name}: fastest", f"{best.way}, {1e6 * best.median_seconds:,.1f} µs"
    if found.table is not None:
        change = found.table.bits_per_byte - found.table.computed_bits_per_byte
        yield f"bits per byte by a table of {found.table.lut_size:,}", f"{change:+.7f}"
