"""The verb eval adversarial: what harder forms of questions cost a model."""

from collections.abc import Iterator, Sequence

from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import ConfigError, InputError, nearest
from tissu_core.events.suites import HardEvent, HardScored, ItemScored, SuiteScored
from tissu_core.runs.evaluate.suites import ask_suites, open_suites

SUITE = "adversarial"


def measure_adversarial(
    names: Sequence[str],
    model: str | None,
    machine: DeviceConfig,
    *,
    kinds: Sequence[str] = (),
    seed: int = 0,
    batch_size: int = 8,
) -> Iterator[HardEvent]:
    """Ask the plain items of each suite and their harder forms, of ``kinds`` or of all.

    Typing errors and distractors are made by the seed; other forms stand in a suite's file. The
    last event of each suite is its result.

    Raises:
        TissuError: As ``ask_suites``.
        ConfigError: If a suite has no forms of a kind.
    """
    from tissu_core.evals.suites.harder import compare_forms, harden

    suites = []
    for suite in open_suites(names or [SUITE]):
        known = {*(item.kind for item in harden(suite, (), seed).items if item.of)}
        for kind in kinds:
            if kind not in known:
                close = nearest(kind, known) or sorted(known)
                raise ConfigError(
                    f"{suite.name} has no harder forms of the kind {kind!r}",
                    field="kind",
                    hint=f'--kind "{close[0]}"' if close else "another suite",
                )
        suites.append(harden(suite, kinds, seed))
    of_suite = {suite.name: suite for suite in suites}
    scored: dict[str, ItemScored] = {}
    for event in ask_suites(suites, model, machine, seed=seed, batch_size=batch_size):
        if isinstance(event, ItemScored):
            scored[event.id] = event
        elif isinstance(event, SuiteScored):
            suite = of_suite[event.suite]
            found = tuple(compare_forms(suite, scored, seed))
            if not found:
                raise InputError(
                    f"no item of {suite.name} fits what the model reads with a harder form",
                    hint="a model with a longer context",
                )
            yield HardScored(
                suite=suite.name,
                model=event.model,
                num_items=sum(not item.of for item in suite.items),
                num_forms=sum(bool(item.of) for item in suite.items),
                kinds=found,
            )
            scored = {}
        else:
            yield event
