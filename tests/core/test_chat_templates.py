"""Models' own chat templates: rendered in a child that can do nothing else, and compared with ours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

import graftlm_registry
from graftlm.api import (
    Conversation,
    DataError,
    Message,
    ModelError,
    PromptTemplate,
    Rendered,
    RenderOptions,
    RenderRequest,
    control,
    text,
)
from graftlm.chat_templates import comparison, renderer
from graftlm.chat_templates.binding import bound, undated
from graftlm.chat_templates.comparison import OwnText, compare, digest_of, first_difference, own_texts
from graftlm.chat_templates.own import OwnTemplate
from graftlm.contracts.serial import from_json, to_json
from graftlm_registry.plugins import registry

BUILTIN = Path(graftlm_registry.__file__).parent / "builtin"
ASKED = [{"role": "user", "content": "<é> & '\n"}]
TALK = [*ASKED, {"role": "assistant", "content": "one"}, *ASKED, {"role": "assistant", "content": "two"}]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

FEATURES = """
{%- macro turn(m) %}<{{ m.role }}>{{ m.content | trim }}
{% endmacro -%}
{{ bos_token }}{{ pad_token is defined }}{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}
{% for m in messages %}
    {% if loop.index0 == 2 %}{% continue %}{% endif %}
    {{- turn(m) }}
    {%- if loop.last %}{% break %}{% endif %}
{% endfor %}
{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + m.content | length %}{% endfor %}{{ ns.n }}
{{ messages | tojson }}{{ messages | tojson(indent=2) }}
{{ messages[0] | tojson(separators=(',', ':'), sort_keys=true) }}
{{ messages[0] | tojson(ensure_ascii=true) }}{{ dict(a=1) }}{{ messages | map(attribute='role') | join(',') }}
{{ strftime_now('%Y') | length }}{{ '\\u00e9\\N{SNOWMAN}' }}{{ messages | pprint }}
"""


@pytest.mark.parametrize("messages", [ASKED, TALK])
def test_it_renders_as_transformers_does(messages: list[dict[str, str]]) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    theirs, _ = render_jinja_template([messages], chat_template=FEATURES, bos_token="<s>", x=[1, {"y": None}])
    with OwnTemplate(FEATURES, special_tokens={"bos_token": "<s>"}) as own:
        assert own.render(messages, x=[1, {"y": None}]).text == theirs[0]


@pytest.mark.parametrize("name", ["tiny-mistral", "tiny-qwen", "tiny-glm", "tiny-falcon"])
def test_built_in_models_render_as_in_transformers(name: str) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(BUILTIN / name)
    with OwnTemplate.from_folder(BUILTIN / name) as own:
        assert own.added_tokens == {token.content for token in theirs.added_tokens_decoder.values()}
        assert (own.bos_token, own.eos_token) == (theirs.bos_token or "", theirs.eos_token)
        for messages, prompt in ((ASKED, True), (TALK, False)):
            expected = theirs.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)
            assert own.render(messages, add_generation_prompt=prompt).text == expected


BLOCK = "{% generation %}{{ m.content }}<e>{% endgeneration %}"
MACRO = "{% macro said(m) %}({{ ' ' }}" + BLOCK + "){% endmacro %}"
EACH = "{% for m in messages %}{% if m.role == 'assistant' %}BLOCK{% else %}u{% endif %}{% endfor %}"


@pytest.mark.parametrize(
    ("source", "ranges"),
    [
        (EACH.replace("BLOCK", BLOCK), ["one<e>", "two<e>"]),
        ("{% for _ in range(2) %}[" + EACH.replace("BLOCK", BLOCK) + "]{% endfor %}", ["one<e>", "two<e>"] * 2),
        (MACRO + EACH.replace("BLOCK", "{{ said(m) }}"), ["one<e>", "two<e>"]),
        (EACH.replace("BLOCK", "{% set x %}<" + BLOCK + ">{% endset %}{{ x }}"), ["one<e>", "two<e>"]),
        (EACH.replace("BLOCK", "a{% generation %}b" + BLOCK + "c{% endgeneration %}d"), ["bone<e>c", "btwo<e>c"]),
        (EACH.replace("BLOCK", "{% generation %}{% endgeneration %}" + BLOCK), ["one<e>", "two<e>"]),
        (EACH.replace("BLOCK", "{% set x %}" + BLOCK + "{% endset %}{{ x | upper }}"), []),
        (EACH.replace("BLOCK", "{% set x %}" + BLOCK + "{% endset %}{{ x }}{{ x }}"), []),
        (EACH.replace("BLOCK", "{% set x %}" + BLOCK + "{% endset %}{{ loop.first and x }}"), []),
        (EACH.replace("BLOCK", "{{ m.content }}"), []),
    ],
    ids=["loop", "nested loops", "macro", "set", "nested", "empty", "filtered", "twice", "dropped", "none"],
)
def test_where_generation_blocks_stand(source: str, ranges: list[str]) -> None:
    """Exactly, or not at all."""
    with OwnTemplate(source) as own:
        done = own.render(TALK)
    assert [done.text[begin:end] for begin, end in done.generated] == ranges


HOSTILE = {
    "loop": ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "takes more than 2 sec"),
    "a power": ("{{ 10 ** (10 ** 9) % 7 }}", "and was stopped"),
    "range": ("{{ range(10 ** 9) | list }}", "Range too big"),
    "multiplied": ("{{ 'a' * 10 ** 10 }}", "more than 1 GiB"),
    "padded": ("{{ '%3000000000d' % 1 }}", "and was stopped"),
    "doubled": (
        "{% set ns = namespace(s='a') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "and was stopped",
    ),
    "replaced": ("{{ ('a' * 1000000).replace('a', 'b' * 5000) | length }}", "and was stopped"),
    "a million lines": ("{% for i in range(99999) %}{{ 'a' * 1000 }}{% endfor %}", "more than 4,194,304 characters"),
    "one long line": ("{{ 'a' * 5000000 }}", "more than 4,194,304 characters"),
    "classes": ("{{ ''.__class__.__mro__ }}", "__class__"),
    "classes by filter": ("{{ (''|attr('__class__')).mro() }}", "__class__"),
    "constructors": ("{{ cycler.__init__.__globals__.os }}", "__init__"),
    "globals": ("{{ raise_exception.__globals__.json.dumps(1) }}", "__globals__"),
    "a namespace": ("{% set ns = namespace(__class__=1) %}", "__class__"),
    "an assignment": ("{% set ns = namespace() %}{% set ns.__class__ = 1 %}", "__class__"),
    "changes": ("{{ messages.append(1) }}", "append"),
    "files": ("{% include '/etc/passwd' %}", "no loader"),
    "a macro": ("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "nested too deeply"),
    "deep": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deeply"),
    "deep blocks": ("{% for i in [1] %}" * 40 + "{% endfor %}" * 40, "not valid Jinja"),
    "deep ifs": ("{% if 1 %}" * 3000 + "{% endif %}" * 3000, "nested too deeply"),
    "a slip": ("\n{% if %}", "not valid Jinja: line 2"),
    "a filter": ("{{ x | nofilter }}", "No filter named 'nofilter'"),
    "undefined": ("{{ x.y.z }}", "'x' is undefined"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_template_ends_in_a_sentence(case: str) -> None:
    source, words = HOSTILE[case]
    with OwnTemplate(source, name="evil") as own:
        begin = time.monotonic()
        with pytest.raises(ModelError, match=r"^evil's chat template ") as raised:
            own.render(ASKED)
        assert time.monotonic() - begin < 8
        assert words in str(raised.value)
        own.chat_template = "{{ messages[0].content }}"
        assert own.render(ASKED).text == ASKED[0]["content"]


def saying(*contents: str) -> list[RenderRequest]:
    return [RenderRequest([{"role": "user", "content": words}]) for words in contents]


def test_a_busy_machine_is_no_fault_of_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the clock ended once, here because the child was stopped, is rendered by the next child."""
    with OwnTemplate("{{ messages[0].content }}") as own:
        own.render(ASKED)
        monkeypatch.setattr(renderer, "PATIENCE", 0.5)
        child = own._renderer._child
        assert child is not None
        os.kill(child.pid, signal.SIGSTOP)
        assert [getattr(done, "text", done) for done in own.render_many(saying("a", "b"))] == ["a", "b"]
        assert child.returncode == -signal.SIGKILL


def test_a_child_that_never_answers_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = "import time; print('[]', flush=True); time.sleep(60)"
    monkeypatch.setattr(renderer, "command", lambda: [sys.executable, "-I", "-S", "-c", waits])
    monkeypatch.setattr(renderer, "PATIENCE", 0.2)
    begin = time.monotonic()
    with OwnTemplate("x") as own, pytest.raises(ModelError, match="gave no answer in 60 seconds, twice"):
        own.render(ASKED)
    assert time.monotonic() - begin < 5


COMPUTES = "{% for i in range(messages[0].content | int) %}{% for j in range(1000) %}{% endfor %}{% endfor %}x"


def test_seconds_of_computing_are_counted_for_each_rendering() -> None:
    """Many that take a while are not one that takes too long."""
    with OwnTemplate(COMPUTES) as own:
        own.render(ASKED)
        begin = time.monotonic()
        own.render_many(saying("1000"))
        long = str(int(1000 * 0.8 / (time.monotonic() - begin)))
        done = own.render_many(saying(*[long] * 5))
    assert [getattr(one, "text", one) for one in done] == ["x"] * 5


def test_what_was_rendered_before_is_kept() -> None:
    """One that runs over its limits takes down what comes after it; a comparison does without none of its cases."""
    source = "{% if messages[0].content == 'no' %}" + HOSTILE["loop"][0] + "{% endif %}x"
    with OwnTemplate(source) as own:
        done = own.render_many(saying("yes", "no", "yes"))
        assert [type(one) for one in done] == [Rendered, ModelError, ModelError]
        assert "takes more than 2 seconds of computing" in str(done[1])
        own.chat_template = "{% if messages[0].role == 'system' %}{{ 'a' * 10 ** 10 }}{% endif %}x"
        with pytest.raises(ModelError, match="more than 1 GiB"):
            own_texts(own)


DATED = "{% for m in messages %}{{ strftime_now('%d %b %Y') }}<|{{ m.role }}|>{{ m.content }}<e>{% endfor %}"


def test_a_day_stays_the_same() -> None:
    with OwnTemplate(DATED, today=date(2024, 7, 26)) as own:
        other = own.dated(date(2025, 1, 2))
        assert own.render(ASKED).text.startswith("26 Jul 2024<|user|>")
        assert other.render(ASKED).text.startswith("02 Jan 2025<|user|>")
        assert other._renderer is own._renderer
        assert own.dated(date(2024, 7, 26)) is own
        assert digest_of(own) != digest_of(other)
        assert OwnTemplate(DATED).today == date.today()
    always = OwnTemplate("x", today=date(2024, 7, 26))
    assert always.dated(date(2025, 1, 2)) is always
    assert digest_of(always) == digest_of(OwnTemplate("x"))


def test_a_dated_template_has_one_hash_on_two_days() -> None:
    from graftlm.planning.fingerprints import template_hash

    spec = registry().get(PromptTemplate, "model")
    found = []
    for day in (date(2024, 7, 26), date(2025, 1, 2)):
        tokens = {"eos_token": "<e>"}
        with OwnTemplate(DATED, special_tokens=tokens, added_tokens=frozenset({"<e>"}), today=day) as own:
            found.append((template_hash(bound(spec, own)), template_hash(undated(spec, own))))
    assert found[0][0] != found[1][0]
    assert found[0][1] == found[1][1]


def test_the_child_ends_with_its_template() -> None:
    """Without a word, and without the garbage collector."""
    own = OwnTemplate(DATED, special_tokens={"eos_token": "<e>"}, added_tokens=frozenset({"<e>"}))
    template = bound(registry().get(PromptTemplate, "model"), own)
    talk = Conversation((Message("user", "U"), Message("assistant", "A")))
    assert template.render(talk, RenderOptions())
    child = own._renderer._child
    assert child is not None
    assert child.poll() is None
    del own, template
    assert child.returncode == -signal.SIGKILL


def test_a_refusal_is_about_the_data() -> None:
    with OwnTemplate("{{ raise_exception('no \x1b[2Jsystem text') }}", name="m") as own:
        with pytest.raises(DataError) as raised:
            own.render(ASKED)
        assert str(raised.value) == "m's chat template refuses this conversation: no  [2Jsystem text"


def test_many_at_once() -> None:
    source = "{% if messages[0].content == 'no' %}{{ raise_exception('no') }}{% endif %}{{ messages[0].content }}"
    words = ["yes", "no", *map(str, range(200)), "x" * (1 << 21), "é\ud800"]
    with OwnTemplate(source) as own:
        done = own.render_many(saying(*words))
        assert own.render_many([]) == []
    assert [d.text if isinstance(d, Rendered) else str(d)[-4:] for d in done] == [
        w if w != "no" else ": no" for w in words
    ]


def test_memory_that_one_takes_is_not_missed_by_the_next() -> None:
    source = "{% if messages[0].content == 'no' %}{{ 'a' * 10 ** 10 }}{% endif %}x"
    with OwnTemplate(source) as own:
        first = own._renderer
        done = own.render_many(saying("yes", "no", "yes"))
        assert [type(one) for one in done] == [Rendered, ModelError, ModelError]
        assert first._child is None
        assert own.render(ASKED).text == "x"


@LINUX
def test_the_child_has_nothing() -> None:
    os.environ["HF_TOKEN"] = "secret"
    try:
        with OwnTemplate("x") as own:
            own.render(ASKED)
            child = own._renderer._child
            assert child is not None
            proc = Path("/proc") / str(child.pid)
            names = {entry.split(b"=")[0].decode() for entry in (proc / "environ").read_bytes().split(b"\0") if entry}
            limits = {
                line[:25].strip(): line[26:].split()[0] for line in (proc / "limits").read_text().splitlines()[1:]
            }
            opened = {p.name for p in (proc / "fd").iterdir()}
            maps = (proc / "maps").read_text()
    finally:
        del os.environ["HF_TOKEN"]
    assert names <= {*renderer.KEPT, "LC_CTYPE"}
    assert opened == {"0", "1", "2"}
    assert limits["Max open files"] == limits["Max file size"] == limits["Max core file size"] == "0"
    assert limits["Max processes"] == "0"
    assert limits["Max address space"] == str(1 << 30)
    assert int(limits["Max cpu time"]) < 10
    assert "torch" not in maps
    assert child.returncode is not None


def test_the_child_finds_jinja2_alone() -> None:
    """Neither what lies in the folder or in site-packages, nor what the environment names."""
    *start, program, packages = renderer.command()
    code = (
        "import importlib.util, json, sys\n"
        f"space = {{'__name__': 'process'}}; exec(open({program!r}).read(), space)\n"
        "sys.meta_path.insert(0, space['Given'](json.loads(sys.argv[1])))\n"
        "import jinja2.sandbox, graftlm.chat_templates.sandbox\n"
        "print([n for n in ('torch', 'yaml', 'click', 'msgspec', 'graftlm_plugins') if importlib.util.find_spec(n)])"
    )
    done = subprocess.run([*start, "-c", code, packages], capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_fork_starts_a_child_of_its_own() -> None:
    with OwnTemplate("{{ messages[0].content }}") as own:
        own.render(ASKED)
        pid = os.fork()
        if not pid:
            os._exit(0 if own.render([{"role": "user", "content": "forked"}]).text == "forked" else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert own.render(ASKED).text == ASKED[0]["content"]


def folder(path: Path, **files: object) -> Path:
    for name, value in files.items():
        file = path / name.replace("__", "/").replace("_jinja", ".jinja").replace("_json", ".json")
        file.parent.mkdir(exist_ok=True)
        file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_reading_a_folder(tmp_path: Path) -> None:
    config = {
        "bos_token": {"content": "<s>", "special": True},
        "eos_token": "</s>",
        "pad_token": None,
        "chat_template": [{"name": "default", "template": "D{{ bos_token }}"}, {"name": "tool_use", "template": "T"}],
        "added_tokens_decoder": {"7": {"content": "<x>"}},
    }
    path = folder(
        tmp_path, tokenizer_config_json=config, special_tokens_map_json={"unk_token": "<unk>", "pad_token": "p"}
    )
    with OwnTemplate.from_folder(path) as own:
        assert own.special_tokens == {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
        assert own.added_tokens == {"<x>"}
        assert own.render(ASKED).text == "D<s>"
        assert own.render(ASKED, tools=[{"type": "function", "function": {"name": "f"}}]).text == "T"
    folder(path, chat_template_json={"chat_template": "J"})
    assert OwnTemplate.from_folder(path).chat_template == "J"
    folder(path, chat_template_jinja="F\r\nx", additional_chat_templates__tool_use_jinja="TF")
    own = OwnTemplate.from_folder(path)
    assert (own.chat_template, own.tool_template) == ("F\nx", "TF")


def test_a_model_without_a_template(tmp_path: Path) -> None:
    own = OwnTemplate.from_folder(tmp_path)
    assert (own.chat_template, own.bos_token, own.added_tokens) == ("", "", frozenset())
    with pytest.raises(
        ModelError, match=f"{tmp_path.name} has no chat template of its own: choose one with --template"
    ):
        own.render(ASKED)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"tokenizer_config_json": "{"}, "not valid JSON"),
        ({"tokenizer_config_json": "[" * 100_000}, "not valid JSON"),
        ({"tokenizer_config_json": []}, "does not hold a JSON object"),
        ({"tokenizer_config_json": {"chat_template": 3}}, "neither text nor a list"),
        ({"tokenizer_config_json": {"chat_template": [{"name": "default"}]}}, "neither text nor a list"),
        ({"tokenizer_config_json": {"eos_token": 3}}, "its eos_token is not text"),
        ({"tokenizer_json": "{"}, "cannot be read as a tokenizer"),
        ({"tokenizer_json": {"added_tokens": [{"content": 3}]}}, "cannot be read as a tokenizer"),
    ],
)
def test_broken_small_files(files: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=words) as raised:
        OwnTemplate.from_folder(folder(tmp_path, **files))
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_template_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelError, match="not UTF-8"):
        OwnTemplate.from_folder(tmp_path)


FALCON = registry().get(PromptTemplate, "falcon-instruct")


@pytest.fixture(scope="module")
def falcon_texts() -> tuple[OwnText, ...]:
    with OwnTemplate.from_folder(BUILTIN / "tiny-falcon") as own:
        return own_texts(own)


def test_the_right_template_is_equal(falcon_texts: tuple[OwnText, ...]) -> None:
    """The end tokens that training adds are no difference."""
    begin = time.perf_counter()
    done = compare(FALCON, falcon_texts)
    assert time.perf_counter() - begin < 0.02
    assert done.equal
    assert done.compared == sum(not text.thinking for text in falcon_texts) > 15
    assert compare(replace(FALCON, thinking=True), falcon_texts).compared == len(falcon_texts)
    assert from_json(to_json(falcon_texts), tuple[OwnText, ...], "texts") == falcon_texts


def test_the_model_s_own_is_equal_where_it_could_not_be_taught() -> None:
    """Mistral moves the system text to the last question: that is no difference of texts."""
    model = registry().get(PromptTemplate, "model")
    assert model.for_model is not None
    with OwnTemplate.from_folder(BUILTIN / "tiny-mistral") as own:
        done = compare(model.for_model(own), own_texts(own))
    assert done.equal
    assert done.compared > 15


def test_a_difference_is_shown(falcon_texts: tuple[OwnText, ...]) -> None:
    other = replace(FALCON, render=lambda c, o: [text("\n\nUser: "), control("<x>")])
    done = compare(other, falcon_texts)
    assert not done.equal
    assert str(done.differences[0]).splitlines() == [
        "a question (generation prompt): they part at character 8",
        "  ours  \\n\\nUser: <x>",
        "  own   \\n\\nUser: What is 2 + 2?\\n\\nAssistan…",
        " " * 18 + "^",
    ]


def test_refusals(falcon_texts: tuple[OwnText, ...]) -> None:
    """What the model's own refuses counts for nothing; what ours refuses alone is a difference."""

    def render(conversation: object, options: object) -> list[object]:
        raise DataError("not with me")

    ours = replace(FALCON, render=render)  # type: ignore[arg-type]
    refused = tuple(replace(t, text=None, refusal="no") for t in falcon_texts)
    assert compare(ours, refused).equal
    assert compare(FALCON, refused).compared == 0
    done = compare(ours, falcon_texts[:1])
    assert str(done.differences[0]) == "a question (generation prompt): refused: not with me"


def test_own_texts_hold_refusals_and_broken_templates_are_errors() -> None:
    source = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{{ messages[0].content }}"
    )
    with OwnTemplate(source) as own:
        texts = own_texts(own)
        assert {t.case for t in texts if t.text is None} == {t.case for t in texts if t.turns[0][0] == "system"}
        assert all("no system" in t.refusal for t in texts if t.text is None)
        for broken in ("{% if %}", HOSTILE["loop"][0], ""):
            own.chat_template = broken
            with pytest.raises(ModelError):
                own_texts(own)


def test_the_digest_is_of_what_decides() -> None:
    first = OwnTemplate("x", special_tokens={"bos_token": "<s>"})
    assert digest_of(first) == digest_of(OwnTemplate("x", special_tokens={"bos_token": "<s>"}, name="other"))
    others = [
        OwnTemplate("y", special_tokens={"bos_token": "<s>"}),
        OwnTemplate("x"),
        OwnTemplate("x", tool_template="t"),
    ]
    assert len({digest_of(own) for own in [first, *others]}) == 4


def test_the_digest_is_of_what_renders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another jinja2, or other code of ours, may write other texts."""
    found = set()
    own = OwnTemplate("x")
    for version, code in (("3.1.6", ""), ("3.1.7", ""), ("3.1.7", "# changed")):
        comparison._code.cache_clear()
        for path in Path(comparison.__file__).parent.glob("*.py"):
            (tmp_path / path.name).write_text(path.read_text(encoding="utf-8") + code, encoding="utf-8")
        monkeypatch.setattr(comparison, "__file__", str(tmp_path / "comparison.py"))
        monkeypatch.setattr(comparison.metadata, "version", lambda name, version=version: version)
        found.add(digest_of(own))
    comparison._code.cache_clear()
    assert len(found) == 3


@pytest.mark.parametrize(
    ("ours", "own", "shown"),
    [
        ("same", "same", []),
        ("a\x1b\nb", "a\x1b\nc", ["character 3", "  ours  a\\x1b\\nb", "  own   a\\x1b\\nc", " " * 15 + "^"]),
        ("ab", "abc", ["character 2", "  ours  ab(its end)", "  own   abc", " " * 10 + "^"]),
        (
            "x" * 50 + "a" * 30,
            "x" * 50,
            ["character 50", f"  ours  …{'x' * 24}{'a' * 24}…", f"  own   …{'x' * 24}(its end)", " " * 33 + "^"],
        ),
    ],
)
def test_the_picture_of_a_difference(ours: str, own: str, shown: list[str]) -> None:
    picture = first_difference(ours, own)
    assert picture.removeprefix("they part at ").splitlines() == shown
