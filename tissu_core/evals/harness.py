"""tissu's models in EleutherAI's lm-evaluation-harness (Gao et al. 2023, zenodo.10256836).

Imports the optional package ``lm_eval``, whose own model classes read text as transformers does: so
ids here are those that the tokenizer's file gives as it stands, control tokens spelled in a text
included, and the numbers are those of the harness's ``hf`` on the exported model.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from torch import Tensor

from tissu_core.checkpoint.model_directory import LoadedModel
from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.generate import generate_all
from tissu_core.decoding.reply import Reply
from tissu_core.errors import InputError
from tissu_core.events.replies import GenerationFinished
from tissu_core.text.chat_template import Message
from tissu_core.text.conversation import chat_pieces

Pair = tuple[tuple[str, str], list[int], list[int]]
"""A request's texts, the ids to read and the ids to score."""


class HarnessModel(TemplateLM):  # type: ignore[misc]  # the package has no types
    """A tissu model as ``lm_eval`` asks it: log-likelihoods, and greedy or sampled continuations.

    ``tell`` is called with how many requests of one kind were answered, and of how many.
    """

    def __init__(
        self, loaded: LoadedModel, batch_size: int, tell: Callable[[int, int], None]
    ) -> None:
        super().__init__()
        self._loaded, self._model = loaded, loaded.model
        backend = loaded.tokenizer.backend
        self._backend = type(backend).from_str(backend.to_str())  # finds control tokens in text
        # Where a text's length says how all of it is rotated, padding would change a row.
        self._batch_size = 1 if self._model.rotates_by_length else batch_size
        self._tell = tell
        self._context = loaded.model.config.max_position_embeddings

    @property
    def eot_token_id(self) -> int:
        """What ends a text."""
        return self._loaded.tokenizer.end_id

    @property
    def prefix_token_id(self) -> int:
        """What is read before a text without a context."""
        return self._loaded.tokenizer.start_id

    @property
    def tokenizer_name(self) -> str:
        """What tells cached requests of one tokenizer from another's."""
        return self._loaded.tokenizer.sha256

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        """Ids of a text; by default with what the tokenizer puts before one that lacks it."""
        first = self._backend.id_to_token(self.prefix_token_id)
        if add_special_tokens is None:
            add_special_tokens = not (first and string.startswith(first))
        ids: list[int] = self._backend.encode(string, add_special_tokens=add_special_tokens).ids
        return ids

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The template of conversations, by which results are told apart."""
        return self._loaded.tokenizer.chat_template if chat_template else None

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A conversation as the model was taught to read it, up to the reply or into it."""
        begun = "" if add_generation_prompt else chat_history[-1]["content"]
        turns = chat_history if add_generation_prompt else chat_history[:-1]
        messages = [Message(**turn) for turn in turns]  # type: ignore[arg-type]
        pieces = chat_pieces(self._loaded.tokenizer, messages)
        return "".join(piece.text for piece in pieces) + begun

    def loglikelihood_rolling(
        self, requests: Sequence[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """The log-likelihood of whole texts, in windows that score each token once."""
        sums = []
        for done, (text,) in enumerate((request.args for request in requests), 1):
            windows = get_rolling_token_windows(
                token_list=self.tok_encode(text),
                prefix_token=self.prefix_token_id,
                max_seq_len=self._context,
                context_len=1,
            )
            pairs = [(("", ""), *make_disjoint_window(window)) for window in windows]
            sums.append(sum(found for found, _ in self._score(pairs)))
            self._tell(done, len(requests))
        return sums

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:
        """Continuations up to a stop text, which is left out."""
        replies = [self._reply(at, *request.args) for at, request in enumerate(requests)]
        texts, done = [""] * len(replies), 0
        for reply, event in generate_all(self._model, replies, batch_size=self._batch_size):
            if isinstance(event, GenerationFinished):
                texts[reply.index], done = event.text, done + 1
                self._tell(done, len(replies))
        return texts

    def _reply(self, index: int, text: str, settings: dict[str, Any]) -> Reply:
        asked = normalize_gen_kwargs(settings)
        most = asked["max_gen_toks"]
        config = DecodingConfig(
            max_tokens=most,
            temperature=asked.get("temperature", 0.0) if asked["do_sample"] else 0.0,
            top_k=asked.get("top_k", 0),
            top_p=asked.get("top_p", 1.0),
            stop=tuple(asked["until"]),
            seed=0,
        )
        ids = self.tok_encode(text)[-max(1, self._context - most) :]
        tokenizer = self._loaded.tokenizer
        return Reply(tokenizer, ids, config, self._context, end_ids=tokenizer.end_ids, index=index)

    def _loglikelihood_tokens(
        self, requests: list[Pair], disable_tqdm: bool = False, **kwargs: Any
    ) -> list[tuple[float, bool]]:
        return self._score(requests, self._tell)

    def _score(
        self, pairs: Sequence[Pair], tell: Callable[[int, int], None] = lambda done, of: None
    ) -> list[tuple[float, bool]]:
        """Log-likelihoods, and whether each id is the likeliest; texts of like length together.

        Raises:
            InputError: If the ids to score are more than the model reads.
        """
        most = max((len(scored) for _, _, scored in pairs), default=0)
        if most > self._context:
            raise InputError(
                f"a continuation has {most:,} tokens, and the model reads {self._context:,}",
                hint="a model with a longer context, or another task",
            )
        found: list[tuple[float, bool]] = [(0.0, False)] * len(pairs)
        order = sorted(range(len(pairs)), key=lambda at: -len(pairs[at][1]) - len(pairs[at][2]))
        for begin in range(0, len(order), self._batch_size):
            some = order[begin : begin + self._batch_size]
            scored = self._score_rows([(pairs[at][1], pairs[at][2]) for at in some])
            for at, each in zip(some, scored, strict=True):
                found[at] = each
            tell(begin + len(some), len(order))
        return found

    @torch.inference_mode()
    def _score_rows(self, rows: Sequence[tuple[list[int], list[int]]]) -> list[tuple[float, bool]]:
        # Of what is too long the beginning is left out, as the harness does it.
        windows = [(read + scored)[-self._context - 1 :] for read, scored in rows]
        longest = max(map(len, windows)) - 1
        padded = [window[:-1] + [0] * (longest - len(window) + 1) for window in windows]
        hidden = self._model.model(torch.tensor(padded, device=self._model.device))
        return [
            self._judge(stream[len(window) - 1 - len(scored) : len(window) - 1], scored)
            for stream, window, (_, scored) in zip(hidden, windows, rows, strict=True)
        ]

    def _judge(self, hidden: Tensor, scored: Sequence[int]) -> tuple[float, bool]:
        logits = self._model.to_logits(hidden).float()
        targets = torch.tensor(scored, device=logits.device)
        logprobs = logits.log_softmax(-1).gather(1, targets[:, None])
        return float(logprobs.double().sum()), bool((logits.argmax(-1) == targets).all())
