"""Suites that a run is asked whenever it is evaluated, after it is saved."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from tissu_core.errors import TissuError
from tissu_core.evals.suites.model import ModelSubject
from tissu_core.evals.suites.scoring import ask_suite
from tissu_core.evals.suites.suite import Suite
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.events.suites import SuiteScored
from tissu_core.models.decoder import Decoder
from tissu_core.text.conversation import with_chat_template

if TYPE_CHECKING:
    from tissu_core.runs.train.assembly import Assembly

Told: TypeAlias = SuiteScored | Noticed | StageAdvanced


class ScheduledSuites:
    """Asks the model of a run; a suite that fails is said and ends nothing.

    A run that is asked to stop does not wait for the suites.
    """

    def __init__(
        self, assembly: "Assembly", suites: Sequence[Suite], should_stop: Callable[[], bool]
    ) -> None:
        self._assembly, self._suites, self._should_stop = assembly, suites, should_stop
        self._told: set[str] = set()

    def ask(self, step: int) -> Iterator[Told]:
        """Progress, and the score of each suite; what was noticed before is not said again."""
        if not self._suites:
            return
        layout, ranks = self._assembly.layout, self._assembly.layout.ranks
        with self._assembly.as_measured() as model:
            if ranks.are_many and layout.is_whole:
                scores = partial(self._scores, model, step, self._should_stop)
                yield from ranks.from_main(lambda: [*scores()])
            else:  # all ranks ask, and must leave off at the same question
                yield from self._scores(
                    model, step, lambda: bool(ranks.largest(self._should_stop())[0])
                )

    def _scores(self, model: Decoder, step: int, is_over: Callable[[], bool]) -> Iterator[Told]:
        for suite in self._suites:
            try:
                for told in self._score(suite, model, step):
                    yield told
                    if not isinstance(told, SuiteScored) and is_over():
                        text = f"{suite.name} was not asked to its end: the run stops"
                        yield Noticed(level="info", text=text)
                        return
            except TissuError as error:
                yield from self._once(
                    Noticed(level="warning", text=f"{suite.name} was not scored: {error.message}")
                )

    def _score(self, suite: Suite, model: Decoder, step: int) -> Iterator[Told]:
        assembly, tokenizer = self._assembly, self._assembly.tokenizer
        is_chat = assembly.shards.targets is not None and suite.metric != "choice"
        subject = ModelSubject(
            model=model,
            tokenizer=with_chat_template(tokenizer) if is_chat else tokenizer,
            end_ids=assembly.end_ids,
        )
        name, training = assembly.store.directory.parent.name, assembly.run.training
        for event in ask_suite(
            suite,
            subject,
            model=name,
            is_chat=is_chat,
            limit=training.eval_suite_items,
            seed=training.seed,
        ):
            if isinstance(event, SuiteScored):
                yield replace(event, step=step)
            elif isinstance(event, StageAdvanced):
                yield replace(event, stage="scoring")
            elif isinstance(event, Noticed):
                yield from self._once(event)

    def _once(self, notice: Noticed) -> Iterator[Noticed]:
        if notice.text not in self._told:
            self._told.add(notice.text)
            yield notice
