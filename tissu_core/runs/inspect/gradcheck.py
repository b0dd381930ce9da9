"""The verb inspect gradcheck: is what training follows the slope of what it measures."""

from collections.abc import Iterator

from tissu_core.events.measures import GradientChecked


def check_gradients(module: str | None) -> Iterator[GradientChecked]:
    """Every layer whose name contains ``module``, or all, checked one after the other.

    Raises:
        ConfigError: If no name does; names the nearest.
    """
    from tissu_core.interpret.gradcheck import iter_gradient_checks

    yield from iter_gradient_checks(module)
