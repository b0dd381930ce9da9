"""Suites that a run is asked whenever it is evaluated, after it is saved."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
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
    """Asks the model of a run; a suite that fails is said and ends nothing."""

    def __init__(self, assembly: "Assembly", suites: Sequence[Suite]) -> None:
        self._assembly, self._suites = assembly, suites
        self._told: set[str] = set()

    def ask(self, step: int) -> Iterator[Told]:
        """Progress, and the score of each suite; what was noticed before is not said again."""
        if not self._suites:
            return
        layout = self._assembly.layout
        with self._assembly.as_measured() as model:
            if layout.ranks.are_many and layout.is_whole:
                yield from layout.ranks.from_main(lambda: [*self._scores(model, step)])
            else:
                yield from self._scores(model, step)

    def _scores(self, model: Decoder, step: int) -> Iterator[Told]:
        for suite in self._suites:
            try:
                yield from self._score(suite, model, step)
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
