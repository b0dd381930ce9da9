"""One reply while it is written: its text so far, and what of it may be shown."""

import time
from collections.abc import Sequence

from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.bias import resolve_biases
from tissu_core.decoding.healing import Healed, heal
from tissu_core.decoding.row import Choice, Row
from tissu_core.decoding.stop import StopText
from tissu_core.errors import InputError
from tissu_core.events.replies import Alternative, EndReason, GenerationFinished, TokenGenerated
from tissu_core.text.incremental_decoder import IncrementalDecoder
from tissu_core.text.tokenizer import Tokenizer


class Reply(Row):
    """The continuation of one prompt, from its first token to why it ended.

    ``context`` is how many tokens the model may read. ``is_healed`` lets the first token complete
    the prompt's last one; for plain text. The reply goes on behind ``written``, which counts as a
    part of it, but neither as new nor as the prompt's.

    Raises:
        InputError: If the prompt fills the context, with what is written of the reply.
        ConfigError: If the settings name an unknown token.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt_ids: Sequence[int],
        config: DecodingConfig,
        context: int,
        *,
        end_ids: frozenset[int],
        index: int = 0,
        is_healed: bool = False,
        written: Sequence[int] = (),
    ) -> None:
        num_read = len(prompt_ids) + len(written)
        room = context - num_read
        if room <= 0:  # nothing is ever cut silently
            what = "prompt with its begun reply" if written else "prompt"
            raise InputError(
                f"the {what} has {num_read:,} tokens and the model's context is {context:,}",
                hint=f"a prompt of at most {max(1, room + len(prompt_ids) - 1):,} tokens",
            )
        healed = Healed(list(prompt_ids), "", [])
        if is_healed:
            healed = heal(tokenizer, prompt_ids, written)
        super().__init__(
            [*healed.prompt_ids, *written],
            config,
            min(config.max_tokens, room),
            index=index,
            written=len(written),
            first_allowed=() if written else healed.allowed,
            biases=resolve_biases(config, tokenizer),
            end_ids=end_ids,
        )
        self.index = index
        self.num_tokens = 0
        self._prompt_tokens, self._end_ids = len(prompt_ids), end_ids
        self._reason: EndReason = "length" if config.max_tokens <= room else "context"
        self._decoder, self._stop = IncrementalDecoder(tokenizer), StopText(config.stop)
        self._tokenizer = tokenizer
        self._prefix = healed.prefix  # what the prompt already holds of the first token
        self._text = ""
        self.written_texts = tuple(map(self._complete, written))
        """The text that each written token completes."""
        self._began = time.perf_counter()
        self._first_seconds = 0.0

    def take(self, choice: Choice) -> TokenGenerated | None:
        """The text of a chosen token; none for one that ends the reply."""
        if choice.token_id in self._end_ids:
            self.end("stop")
            return None
        self.num_tokens += 1
        if self.num_tokens == 1:
            self._first_seconds = time.perf_counter() - self._began
        return TokenGenerated(
            text=self._complete(choice.token_id),
            token_id=choice.token_id,
            logprob=choice.logprob,
            entropy=choice.entropy,
            alternatives=tuple(
                Alternative(token_id=id, text=self._tokenizer.text_of(id), logprob=logprob)
                for id, logprob in choice.likely
            ),
        )

    def _complete(self, token_id: int) -> str:
        """The text that is sure with this token; a stop text in it ends the reply."""
        text = self._decoder.feed(token_id)
        if text and self._prefix:
            text, self._prefix = text.removeprefix(self._prefix), ""
        text = self._show(self._stop.feed(text))
        if self._stop.is_found:
            self.end("stop")
        return text

    def end(self, reason: EndReason) -> None:
        """End the reply here."""
        self.is_done, self._reason = True, reason

    def finish(self) -> GenerationFinished:
        """How it ended."""
        tail = ""
        if not self._stop.is_found:
            tail = self._show(self._stop.feed(self._decoder.flush()) + self._stop.flush())
        decoding = time.perf_counter() - self._began - self._first_seconds
        return GenerationFinished(
            text=self._text,
            tail=tail,
            reason=self._reason,
            prompt_tokens=self._prompt_tokens,
            new_tokens=self.num_tokens,
            first_token_seconds=self._first_seconds,
            tokens_per_second=(self.num_tokens - 1) / decoding if self.num_tokens > 1 else 0.0,
        )

    def _show(self, text: str) -> str:
        self._text += text
        return text
