"""Evaluation suites as files: TOML with a metric and items. Imports no torch.

::

    about = "which word ends the sentence"
    metric = "choice"                  # or exact, contains, code, bleu, rouge

    [[items]]
    id = "rain"
    prompt = "She opened the umbrella because it began to"
    choices = ["rain", "bake", "sing"]
    answer = "rain"

Of the whole suite may be told: ``name``, ``about``, ``instruction`` before every prompt,
``choices`` for items without their own, ``max_tokens`` of a reply, ``stop`` texts that end one, and
``[[shots]]`` with a ``prompt`` and an ``answer``, shown before each item and never scored.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tissu_core.errors import InputError, nearest
from tissu_core.evals.suites.suite import METRICS, Item, Metric, Shot, Suite

_MAX_TOKENS: Mapping[Metric, int] = {"code": 256, "rouge": 96}
_SUITE_KEYS = ("name", "about", "metric", "instruction", "choices", "max_tokens", "stop", "shots")
_ITEM_KEYS = ("id", "prompt", "answer", "answers", "choices", "tests", "kind", "of")
# Strings and comments, which may hold what looks like a table or a key.
_OPAQUE = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|'
    + r"'''.*?'{3,5}|"
    + r'"(?:\\.|[^"\\\n])*"|'
    + r"'[^'\n]*'|#[^\n]*",
    re.DOTALL,
)
_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)$")


def read_suite(path: Path) -> Suite:
    """A suite of its file.

    Raises:
        InputError: If it cannot be read, or is wrong somewhere; names the line.
    """
    return _Reader(path).suite()


class _Reader:
    """One file: what tomllib found in it, and on which lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8-sig")
            self.table = tomllib.loads(text)
        except OSError as error:
            raise InputError(
                f"cannot read the suite {path}: {error.strerror}", hint="name a file of a suite"
            ) from error
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 text", hint="save it as UTF-8") from error
        except tomllib.TOMLDecodeError as error:
            at = _AT_LINE.search(str(error))
            where = f"{path}:{at[1]}" if at else f"{path}"
            reason = _AT_LINE.sub("", str(error))
            raise InputError(f"{where} is not TOML: {reason}", hint="mend that line") from error
        self._bare = _OPAQUE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text).split("\n")

    def suite(self) -> Suite:
        """All of it."""
        table, lines = self.table, self._lines_of("items")
        self._refuse_unknown(table, (*_SUITE_KEYS, "items"), 0)
        metric = self._metric()
        shared = self._texts(table, "choices", 0)
        items = self._tables("items")
        if not items:
            raise self._wrong("holds no item", 0, hint="[[items]] with an id, a prompt, an answer")
        found: dict[str, Item] = {}
        for number, each in enumerate(items):
            line = lines[number] if number < len(lines) else self._line_of("items")
            item = self._item(each, metric, shared, line)
            if item.id in found:
                raise self._wrong(
                    f"has the id {item.id!r} again: line "
                    f"{self._line_of('id', found[item.id].line)} has it",
                    self._line_of("id", line),
                    hint=f'id = "{item.id}-2"',
                )
            found[item.id] = item
        self._check_origins(found)
        return Suite(
            name=self._text(table, "name", 0) or self.path.stem,
            about=self._text(table, "about", 0),
            path=str(self.path),
            metric=metric,
            instruction=self._text(table, "instruction", 0),
            max_tokens=self._max_tokens(_MAX_TOKENS.get(metric, 32)),
            stop=self._texts(table, "stop", 0),
            shots=tuple(self._shots()),
            items=tuple(found.values()),
        )

    def _metric(self) -> Metric:
        given = self._text(self.table, "metric", 0)
        for metric in METRICS:
            if given == metric:
                return metric
        close = nearest(given, METRICS)
        raise self._wrong(
            f"has the metric {given!r}" if given else "has no metric",
            self._line_of("metric"),
            hint=f"did you mean {' or '.join(close)}?" if close else f"one of {', '.join(METRICS)}",
        )

    def _item(
        self, table: Mapping[str, Any], metric: Metric, shared: tuple[str, ...], line: int
    ) -> Item:
        self._refuse_unknown(table, _ITEM_KEYS, line)
        item = Item(
            id=self._needed(table, "id", line),
            prompt=self._needed(table, "prompt", line),
            answers=self._answers(table, line),
            choices=(self._texts(table, "choices", line) or shared) if metric == "choice" else (),
            tests=self._text(table, "tests", line),
            kind=self._text(table, "kind", line),
            of=self._text(table, "of", line),
            line=line,
        )
        if not item.answers and metric != "code":
            raise self._wrong("has no answer", line, hint='answer = "..."')
        if metric == "code" and not item.tests.strip():
            raise self._wrong("has no tests", line, hint='tests = "assert ..."')
        if metric == "choice":
            self._check_choices(item)
        return item

    def _check_choices(self, item: Item) -> None:
        line = self._line_of("choices", item.line)
        if len({*item.choices}) < max(2, len(item.choices)):
            raise self._wrong("needs two or more choices, each once", line, hint="choices = [...]")
        if len(item.answers) != 1 or item.answers[0] not in item.choices:
            raise self._wrong(
                f"has the answer {' or '.join(map(repr, item.answers))}, which is not one of its "
                "choices",
                self._line_of("answer", item.line),
                hint=f"one of {', '.join(item.choices)}",
            )

    def _answers(self, table: Mapping[str, Any], line: int) -> tuple[str, ...]:
        if "answer" in table and "answers" in table:
            raise self._wrong("has an answer and answers", line, hint="keep one of them")
        one = self._text(table, "answer", line)
        return (one,) if one else self._texts(table, "answers", line)

    def _shots(self) -> Sequence[Shot]:
        lines = self._lines_of("shots")
        shots = []
        for number, table in enumerate(self._tables("shots")):
            line = lines[number] if number < len(lines) else self._line_of("shots")
            self._refuse_unknown(table, ("prompt", "answer"), line)
            prompt, answer = (self._needed(table, key, line) for key in ("prompt", "answer"))
            shots.append(Shot(prompt=prompt, answer=answer))
        return shots

    def _check_origins(self, items: Mapping[str, Item]) -> None:
        for item in items.values():
            if item.of and (item.of not in items or item.of == item.id):
                close = nearest(item.of, items)
                raise self._wrong(
                    f"is of {item.of!r}, which is no other item",
                    self._line_of("of", item.line),
                    hint=f"did you mean {' or '.join(close)}?" if close else "the id of an item",
                )

    def _max_tokens(self, default: int) -> int:
        value = self.table.get("max_tokens", default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 4096:
            line = self._line_of("max_tokens")
            raise self._wrong(f"has max_tokens = {value!r}", line, hint="1 to 4096")
        return value

    def _needed(self, table: Mapping[str, Any], key: str, line: int) -> str:
        text = self._text(table, key, line)
        if not text.strip():
            raise self._wrong(f"has no {key}", line, hint=f'{key} = "..."')
        return text

    def _text(self, table: Mapping[str, Any], key: str, line: int) -> str:
        value = table.get(key, "")
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise self._wrong(
                f"has {key} = {value!r}", self._line_of(key, line), hint=f'{key} = "..."'
            )
        return value

    def _texts(self, table: Mapping[str, Any], key: str, line: int) -> tuple[str, ...]:
        values = table.get(key, [])
        if not isinstance(values, list) or not all(
            isinstance(value, str) and value for value in values
        ):
            raise self._wrong(
                f"has {key} = {values!r}",
                self._line_of(key, line),
                hint=f'{key} = ["...", "..."]',
            )
        return tuple(values)

    def _tables(self, key: str) -> Sequence[Mapping[str, Any]]:
        tables = self.table.get(key, [])
        if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
            raise self._wrong(f"has no tables [[{key}]]", self._line_of(key), hint=f"[[{key}]]")
        return tables

    def _refuse_unknown(self, table: Mapping[str, Any], known: Sequence[str], line: int) -> None:
        for key in table:
            if key not in known:
                close = nearest(key, known)
                hint = f"did you mean {' or '.join(close)}?" if close else f"{', '.join(known)}"
                raise self._wrong(f"has an unknown key {key!r}", self._line_of(key, line), hint)

    def _wrong(self, what: str, line: int, hint: str) -> InputError:
        return InputError(f"{self.path}:{max(1, line)} {what}", hint=hint)

    def _lines_of(self, table: str) -> list[int]:
        header = re.compile(rf"\s*\[\[\s*{table}\s*\]\]")
        return [number for number, line in enumerate(self._bare, 1) if header.match(line)]

    def _line_of(self, key: str, begin: int = 0) -> int:
        """The line of a key in the table that begins there; else where the table begins."""
        pattern = re.compile(rf"\s*(\[\[\s*)?{re.escape(key)}\s*(\]\]|=)")
        for number, line in enumerate(self._bare[begin:], begin + 1):
            if pattern.match(line):
                return number
            if begin and line.lstrip().startswith("[["):
                break
        return begin
