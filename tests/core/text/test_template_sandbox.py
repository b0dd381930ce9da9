"""What a hostile template asks for is refused, at a cost that is bounded.

Each template would print gigabytes, compute for hours or leave its sandbox. The limits count work
and not seconds, so these tests measure none; a limit that fails shows as a test that never ends.
"""

from types import SimpleNamespace

import pytest

from tissu_core.errors import InputError
from tissu_core.text import template_sandbox
from tissu_core.text.chat_template import Message, render_chat
from tissu_core.text.template_meter import BASE_UNITS, LimitError, Meter


def render(template: str, content: str = "hi", **config: str) -> str:
    messages = [Message(role="user", content=content)]
    pieces = render_chat(template, messages, ("<s>",), config)
    return "".join(piece.text for piece in pieces)


def grown(start: str, step: str, end: str = "", *, turns: int = 60) -> str:
    """A value that each turn of a loop makes twice as large."""
    return (
        f"{{% set ns = namespace(x={start}, y={start}) %}}"
        f"{{% for i in range({turns}) %}}{step}{{% endfor %}}{end}"
    )


BIG = "('x' * 1000000)"
TOO_MUCH = {
    "range": "{% for i in range(1000000000) %}{% endfor %}",
    "nested loops": "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
    "filtered loops": (
        "{% for i in range(9999) %}{% for j in range(9999) if j < 0 %}{% endfor %}{% endfor %}"
    ),
    "recursive loop": "{% for i in [[[]]] recursive %}{{ loop(i) }}{% endfor %}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "branching recursion": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"
    ),
    "block recursion": "{% block a %}{{ self.a() }}{{ self.a() }}{% endblock %}",
    "text times": "{{ 'x' * 1000000000 }}",
    "times text": "{{ 1000000000 * 'x' }}",
    "list times": "{{ [1] * 1000000000 }}",
    "doubled by +": grown("'x'", "{% set ns.x = ns.x + ns.x %}"),
    "doubled by ~": grown("'x'", "{% set ns.x = ns.x ~ ns.x %}"),
    "doubled by set": grown("'x'", "{% set z %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = z %}"),
    "doubled by join": grown("'x'", "{% set ns.x = [ns.x, ns.x] | join %}"),
    "one text in a list often": f"{{% set a = {BIG} %}}{{{{ ([a] * 9999) | string }}}}",
    "one text put together often": f"{{% set a = {BIG} %}}{{{{ 'x' ~ [a] * 9999 }}}}",
    "one text in capitals often": f"{{% set a = {BIG} %}}{{{{ ([a] * 9999) | upper }}}}",
    "one text printed often": f"{{% set a = {BIG} %}}{{{{ [a] * 9999 }}}}",
    "doubled in a row": "{% set a = 'x' * 99 %}" + "{% set a = a ~ a %}" * 60,
    "lists of lists": grown("[1]", "{% set ns.x = [ns.x, ns.x] %}", "{{ ns.x }}"),
    "dicts of dicts": grown("{}", "{% set ns.x = {1: ns.x, 2: ns.x} %}", "{{ ns.x }}"),
    "calls of dict": grown("{}", "{% set ns.x = dict(a=ns.x, b=ns.x) %}", "{{ ns.x | tojson }}"),
    "tuples as keys": grown("(1,)", "{% set ns.x = (ns.x, ns.x) %}", "{{ {ns.x: 1} }}"),
    "compared lists": grown(
        "[1]",
        "{% set ns.x = [ns.x] + [ns.x] %}{% set ns.y = [ns.y] + [ns.y] %}",
        "{{ ns.x == ns.y }}",
    ),
    "squared": grown("3", "{% set ns.x = ns.x * ns.x %}"),
    "slices": f"{{% set a = {BIG} %}}" + "{% set a = a[1:] %}" * 100,
    "join method": f"{{{{ {BIG}.join(['a'] * 9999) }}}}",
    "join filter": f"{{{{ (['a'] * 9999) | join({BIG}) }}}}",
    "join letters": f"{{{{ {BIG}.join({BIG}) }}}}",
    "replace method": f"{{{{ {BIG}.replace('x', {BIG}) }}}}",
    "replace filter": f"{{{{ {BIG} | replace('', {BIG}) }}}}",
    "many long texts": f"{{% set a = {BIG} %}}" + "{% set b = a.strip() %}" * 100,
    "many letters": f"{{{{ {BIG} | list | length }}}}",
    "indent": "{{ 'x' | indent(1000000000, true) }}",
    "indented JSON": "{{ {'a': 1} | tojson(indent=1000000000) }}",
    "wide JSON": f"{{{{ [1, 2] | tojson(separators=({BIG}, ':')) }}}}",
    "an account that grows": (
        "{% set a = 'x' | indent(-999999999) %}{% for i in range(9999) %}{% for j in range(999) %}"
        "{% endfor %}{% endfor %}"
    ),
    "deep JSON": grown(
        "['x'] * 9999", "{% set ns.x = [ns.x] %}", "{{ ns.x | tojson(indent=16) }}", turns=900
    ),
    "mapped often": "{{ range(99999)" + " | map('upper')" * 100 + " | list }}",
    "strftime": "{{ strftime_now('%c' * 1000000) }}",
    "long source": "x" * 70_000,
    "deep brackets": "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
    "deep sum": "{{ 1" + " + 1" * 10_000 + " }}",
    "deep loops": "{% for i in [1] %}" * 50 + "{% endfor %}" * 50,
    "ten megabytes": "{% for i in range(10000) %}" + "x" * 1000 + "{% endfor %}",
    "ten megabytes kept": (
        "{% for i in range(10000) %}{% set y %}" + "x" * 1000 + "{% endset %}{% endfor %}"
    ),
}
WAYS_OUT = {
    "class": "{{ ''.__class__ }}",
    "item": "{{ ''['__class__'] }}",
    "attr": "{{ '' | attr('__class__') }}",
    "map": "{{ [''] | map(attribute='__class__') | list }}",
    "globals": "{{ raise_exception.__globals__ }}",
    "init": "{{ namespace.__init__.__globals__ }}",
    "context": "{{ self._TemplateReference__context }}",
    "cycler": "{{ cycler.__init__.__globals__.os }}",
    "format": "{{ '{0.__class__}'.format(1) }}",
    "wide format": "{{ '{:1000000000}'.format(1) }}",
    "format_map": "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "format filter": "{{ '%1000000000d' | format(1) }}",
    "ljust": "{{ 'x'.ljust(1000000000) }}",
    "center": "{{ 'x' | center(1000000000) }}",
    "expandtabs": "{{ '\\t'.expandtabs(1000000000) }}",
    "to_bytes": "{{ (1).to_bytes(1000000000, 'big') }}",
    "power": "{{ 10 ** 10 ** 10 }}",
    "round": "{{ 1.5 | round(1000000000, 'ceil') }}",
    "lipsum": "{{ lipsum(1000000) }}",
    "append": "{{ messages.append(1) }}",
    "import": "{% import 'os' as os %}",
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_would_grow_without_bound_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="chat template fails"):
        render(TOO_MUCH[name] + "end")


@pytest.mark.parametrize("name", WAYS_OUT)
def test_what_leads_out_of_the_sandbox_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="chat template fails"):
        render(WAYS_OUT[name] + "end")


def test_time_that_no_step_counts_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr("time.thread_time", lambda: next(clock))
    with pytest.raises(LimitError):
        [*Meter(1000).turns(range(1000))]
    assert 2 <= next(clock) <= 10


def test_a_namespace_prints_nothing_of_what_it_holds() -> None:
    step = "{% set ns.x = namespace(a=ns.x, b=ns.x) %}"
    assert render(grown("1", step, "{{ ns.x }}")) == "<namespace>"


def test_a_long_conversation_may_be_printed_several_times() -> None:
    content = "word " * (BASE_UNITS // 5)
    template = "{{ messages[0].content | trim + '\\n' }}{{ messages[0].content }}"
    assert render(template, content) == f"{content.strip()}\n{content}"
    with pytest.raises(InputError, match="more work"):
        render("{{ messages[0].content }}" * 6, content)


def test_a_template_that_copies_its_list_of_messages_takes_a_long_conversation() -> None:
    template = (
        "{% set ns = namespace(kept=[]) %}"
        "{% for m in messages %}{% set ns.kept = ns.kept + [m] %}{% endfor %}"
        "{% for m in ns.kept %}{{ m.role + ': ' + m.content | trim + '\n' }}{% endfor %}"
    )
    messages = [Message(role="user", content="word " * 2000)] * 200
    assert len(list(render_chat(template, messages, (), {}))) == 1


def test_each_rendering_has_its_own_account() -> None:
    template = "{% for i in range(1000) %}{% for j in range(300) %}{% endfor %}{% endfor %}ok"
    assert [render(template) for _ in range(3)] == ["ok"] * 3


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ {'b': '<é>', 'a': 1} | tojson }}", '{"b": "<é>", "a": 1}'),
        ("{{ {'a': [1]} | tojson(indent=1) }}", '{\n "a": [\n  1\n ]\n}'),
        ("{{ {'b': 1, 'a': 2} | tojson(sort_keys=true, separators=(',', ':')) }}", '{"a":2,"b":1}'),
        ("{{ 'é' | tojson(ensure_ascii=True) }}", '"é"'),
        ("{{ tools is none and documents is none }}", "True"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{{ 'a,b'.split(',') | join('|') }}{{ '|'.join('ab') }}", "a|ba|b"),
        ("{{ 'aXbX'.replace('X', '-', 1) }}{{ 'aXb' | replace('X', '') }}", "a-bXab"),
        ("{{ messages | join(', ', attribute='content') }}", "hi"),
        ("{{ 'a' ~ 1 ~ [2] ~ none }}", "a1[2]None"),
        ("{{ 'a\\nb' | indent(2, first=True) }}", "  a\n  b"),
        ("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"),
        ("{{ messages | map(attribute='content') | first }}", "hi"),
        ("{{ 7 % 4 }}{{ 7 // 2 }}{{ 2 * 'ab' }}", "33abab"),
        ("{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}", "a2b1"),
        ("{{ bos_token }}|{{ eos_token }}|{{ pad_token is defined }}", "<s>|</s>|False"),
        ("a\n{% if true %}\n   {% if true %}b{% endif %}\n{% endif %}\nc\n", "a\nbc"),
        ("{% generation %}x{% endgeneration %}", "x"),
        ("{% set m = messages[0] %}{{ m.content ~ m['role'] }}", "hiuser"),
    ],
)
def test_the_dialect_of_real_templates(template: str, expected: str) -> None:
    assert render(template, bos_token="<s>", eos_token="</s>") == expected


def test_a_template_knows_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    now = template_sandbox.datetime(2024, 7, 26, 12, 0)
    monkeypatch.setattr(template_sandbox, "datetime", SimpleNamespace(now=lambda: now))
    assert render("{{ strftime_now('%d %b %Y') }}") == "26 Jul 2024"
