"""What a reply is worth, and how sure a score is. Imports no torch."""

import math
import re
from collections.abc import Sequence
from itertools import dropwhile, takewhile
from typing import Any

import numpy as np
import numpy.typing as npt

from tissu_core.errors import missing_package
from tissu_core.evals.suites.suite import Item, Metric

_Z = 1.959963984540054
"""Of the normal distribution, 95 % lie within so many deviations of the mean."""
_FENCE = re.compile(r"```[\w+-]*[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
_DEFINED = re.compile(r"^(?:async\s+)?(?:def|class)\s+(\w+)", re.MULTILINE)
_OF_CODE = re.compile(r"(?:async def|def|class|import|from) \S|@\w")
_WITHIN_CODE = re.compile(rf"\s|[)\]}}]|{_OF_CODE.pattern}")
_BLEU_ORDER = 4
_ROUGE = ("rouge1", "rouge2", "rougeL")


def require_packages(metric: Metric) -> None:
    """Refuse a metric that is another package's, where that is not there.

    Raises:
        InputError: With how to install it.
    """
    if metric == "bleu":
        _sacrebleu()
    elif metric == "rouge":
        _rouge_scorer()


def is_exact(reply: str, answers: Sequence[str]) -> bool:
    """Whether it is one of them; case, white space and a full stop at the end do not count."""
    return _plain(reply) in [_plain(answer) for answer in answers]


def contains(reply: str, answers: Sequence[str]) -> bool:
    """Whether one of them stands in it as whole words; case and white space do not count."""
    text = _plain(reply)
    return any(
        re.search(rf"(?<![\w.\-]){re.escape(_plain(answer))}(?!\w|[.,]\d)", text)
        for answer in answers
    )


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).removesuffix(".").rstrip()


def program(item: Item, reply: str) -> str:
    """The code of a reply: what its first fence holds, or what it defines, or the prompt's end."""
    wanted, fenced = {*_DEFINED.findall(item.prompt)}, _FENCE.search(reply)
    # Where the code comes before it, the first fence is one that ends it and was never begun.
    bare = reply if fenced is None else reply[: fenced.start()]
    if wanted and wanted <= {*_DEFINED.findall(bare)}:
        return _without_prose(bare)
    code = reply if fenced is None else fenced[1]
    is_whole = bool(wanted) and wanted <= {*_DEFINED.findall(code)}
    return code if is_whole else item.prompt + code


def _without_prose(reply: str) -> str:
    """From the first line of code to the first that is neither one nor within one."""
    lines = dropwhile(lambda line: not _OF_CODE.match(line), reply.splitlines())
    kept = takewhile(lambda line: not line.strip() or _WITHIN_CODE.match(line), lines)
    return "\n".join(kept) + "\n"


def bleu(sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Corpus BLEU of sacrebleu as it comes, in [0, 1] (Papineni et al. 2002; Post 2018).

    Shapes: sums (10, D) of ``bleu_counts`` over replies, for D lists of them; returns (D,).

    Raises:
        InputError: If sacrebleu is not there.
    """
    of_counts, order = _sacrebleu().BLEU.compute_bleu, _BLEU_ORDER
    scores = [
        of_counts(own[:order], own[order:-2], *own[-2:], smooth_method="exp").score
        for own in sums.T.astype(int).tolist()
    ]
    return np.array(scores) / 100


def bleu_counts(
    replies: Sequence[str], references: Sequence[Sequence[str]]
) -> npt.NDArray[np.float64]:
    """What corpus BLEU sums over replies: n-grams that match, n-grams, and both lengths.

    Shapes: returns (10, U) of U replies.

    Raises:
        InputError: If sacrebleu is not there.
    """
    found = map(_sentence_bleu, replies, references)
    return np.array(
        [[*own.counts, *own.totals, own.sys_len, own.ref_len] for own in found], float
    ).T


def sentence_bleu(reply: str, references: Sequence[str]) -> float:
    """Of one reply, with the n-grams that it is long enough for, in [0, 1]."""
    return float(_sentence_bleu(reply, references).score) / 100


def _sentence_bleu(reply: str, references: Sequence[str]) -> Any:
    return _sacrebleu().BLEU(effective_order=True).sentence_score(reply, list(references))


def rouge(reply: str, references: Sequence[str]) -> dict[str, float]:
    """F of ROUGE-1, ROUGE-2 and ROUGE-L by rouge-score with stemming (Lin 2004), in [0, 1].

    Of several references the best counts, for each by itself.

    Raises:
        InputError: If rouge-score is not there.
    """
    found = _rouge_scorer()(_ROUGE, use_stemmer=True).score_multi(list(references), reply)
    return {name: float(found[name].fmeasure) for name in _ROUGE}


def _sacrebleu() -> Any:
    try:
        import sacrebleu  # noqa: PLC0415
    except ImportError:
        raise missing_package("sacrebleu", "a suite scored by BLEU") from None
    return sacrebleu


def _rouge_scorer() -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415
    except ImportError:
        raise missing_package("rouge-score", "a suite scored by ROUGE") from None
    return RougeScorer


def wilson(right: float, number: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927): never outside [0, 1], even for 0 or all.

    >>> [round(bound, 3) for bound in wilson(40, 40)]
    [0.912, 1.0]
    """
    if not number:
        return 0.0, 1.0
    share, z2 = right / number, _Z * _Z / number
    middle = (share + z2 / 2) / (1 + z2)
    half = _Z * math.sqrt(share * (1 - share) / number + z2 / (4 * number)) / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of values; 0 of fewer than two."""
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    spread = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return math.sqrt(spread / len(values))


def check_answer(metric: Metric, item: Item, reply: str) -> float:
    """The value of one reply in [0, 1]; of all metrics but "choice" and "code".

    Raises:
        InputError: If a package is not there.
    """
    if metric == "exact":
        return float(is_exact(reply, item.answers))
    if metric == "contains":
        return float(contains(reply, item.answers))
    if metric == "bleu":
        return sentence_bleu(reply, item.answers)
    return rouge(reply, item.answers)["rougeL"]
