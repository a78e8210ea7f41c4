"""Chat templates of unknown origin: rendered in a limited process first, refused in one line, or given by the user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from transformers.utils.chat_template_utils import _compile_jinja_template

from core.domain import Turn
from core.errors import InputError, NotFoundError, RunError
from core.scoring import template_trial
from core.scoring.hf.load import load_encoder, load_engine
from core.scoring.protocol import WITHOUT_TEMPLATE, EngineSettings
from core.scoring.template_trial import environment, read_chat_template, try_template
from tests.conftest import TINY_MODEL
from tests.unit.scoring_models import random_model

MARK = "/tmp/sap-tui-template-was-here"
HOSTILE = {
    "escape by a class": ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "forbidden"),
    "escape by a format": ("{{ '{0.__class__.__init__.__globals__}'.format(messages) }}", "forbidden"),
    "escape by a global": (f"{{{{ cycler.__init__.__globals__.os.system('touch {MARK}') }}}}", "forbidden"),
    "nested loops": ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "computes"),
    "one large text": ("{{ 'a' * 4000000000 }}", "memory"),
    "doubling": (
        "{% set n = namespace(x='a' * 99) %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "memory",
    ),
    "raise": ("{{ raise_exception('no\x1b]0;x\x07\nway') }}", "no␛]0;x␇"),
    "none": ("{{ none.x.y }}", "has no attribute"),
    "large range": ("{% for a in range(10**9) %}{% endfor %}", "forbidden"),
    "huge repeat": ("{% for a in range(90000) %}hello{% endfor %}", "450,000 characters"),
    "recursion": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself"),
    "include": ("{% include '/etc/passwd' %}", "no loader"),
    "no template": ("{% for", "unexpected"),
    "deep nesting": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "calls itself"),
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's limits as they are, but of less time and memory, so that hostile templates end sooner."""
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(template_trial, "_COMMAND", [sys.executable, "-c", QUICK])


QUICK = """
from core.scoring import template_trial
template_trial.CPU_SECONDS, template_trial.MEMORY_BYTES = 1, 256 << 20
raise SystemExit(template_trial.main())
"""


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.usefixtures("quick")
def test_hostile_templates_are_refused_in_one_line(name: str) -> None:
    template, words = HOSTILE[name]
    before = os.times()
    begin = time.monotonic()
    with pytest.raises(RunError) as caught:
        try_template(template, {})
    used = os.times()
    assert used.children_user + used.children_system - before.children_user - before.children_system < 5
    assert time.monotonic() - begin < template_trial.WALL_SECONDS + 1
    assert words in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400
    assert not Path(MARK).exists()


def test_a_hostile_template_is_refused_before_the_weights_are_opened(
    tmp_path: Path,
) -> None:
    folder = random_model(tmp_path / "model", "llama")
    (folder / "chat_template.jinja").write_text("{% include 'x' %}")
    (folder / "model.safetensors").write_bytes(b"not opened")
    for load in (load_encoder, load_engine):
        with pytest.raises(RunError, match="chat template cannot be used: no loader"):
            load(EngineSettings(str(folder), device="cpu"))


def test_only_a_process_of_its_own_renders_it_and_it_imports_no_torch() -> None:
    code = (
        "import io, json, os, sys\n"
        "from core.scoring import template_trial\n"
        "request = {'template': '{{ messages[0].content }}', 'variables': {}}\n"
        "sys.stdin = io.TextIOWrapper(io.BytesIO(json.dumps(request).encode()))\n"
        "template_trial.main()\n"
        "loaded = [name for name in ('torch', 'transformers', 'numpy') if name in sys.modules]\n"
        "assert not loaded, loaded\n"
        "try:\n"
        "    os.fork()\n"
        "except OSError:\n"
        "    print('|cannot fork')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told, _, rest = done.stdout.partition("|")
    assert json.loads(told) == [{"error": "", "unsafe": False}] * 3
    assert rest.strip() == "cannot fork" or os.geteuid() == 0


def test_nothing_of_the_environment_reaches_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary")
    seen: dict[str, Any] = {}
    run = subprocess.run

    def watch(*arguments: Any, **options: Any) -> Any:
        seen.update(options["env"])
        return run(*arguments, **options)

    monkeypatch.setattr(subprocess, "run", watch)
    try_template("{{ messages[0].content }} watched", {})
    assert set(seen) <= {"PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE"}


def test_the_sandbox_is_the_one_that_transformers_renders_in() -> None:
    theirs, ours = _compile_jinja_template("").environment, environment()
    assert type(theirs) is type(ours)
    for names in ("globals", "filters", "tests"):
        assert set(getattr(theirs, names)) == set(getattr(ours, names))
    assert (theirs.trim_blocks, theirs.lstrip_blocks) == (ours.trim_blocks, ours.lstrip_blocks)
    assert {tag for each in theirs.extensions.values() for tag in each.tags} == {
        tag for each in ours.extensions.values() for tag in each.tags
    }


SYSTEM_REFUSED = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% generation %}{{ m.content }}{% endgeneration %}{{ tools | tojson }}{{ strftime_now('%Y') }}{% break %}"
    "{% endfor %}"
)


@pytest.mark.parametrize("template", [(TINY_MODEL / "chat_template.jinja").read_text(), SYSTEM_REFUSED, "x"])
def test_good_templates_pass(template: str) -> None:
    try_template(template, {"bos_token": "<s>", "enable_thinking": False})


def test_what_a_template_makes_of_real_questions_is_bounded_too(tmp_path: Path) -> None:
    folder = random_model(tmp_path / "model", "llama")
    (folder / "chat_template.jinja").write_text(
        "{% for a in range(90000 if 'now' in messages[0].content else 1) %}hello{% endfor %}"
    )
    encoder = load_encoder(EngineSettings(str(folder)))
    assert encoder.encode_context((Turn("user", "not yet"),)) == encoder.encode_context((Turn("user", "later"),))
    with pytest.raises(RunError, match="makes 450,000 characters of 3"):
        encoder.encode_context((Turn("user", "now"),))


def test_several_templates_without_a_default(tmp_path: Path) -> None:
    folder = random_model(tmp_path / "model", "llama")
    (folder / "chat_template.jinja").unlink()
    file = folder / "tokenizer_config.json"
    templates = [{"name": "tools", "template": "x"}, {"name": "other", "template": "y"}]
    file.write_text(json.dumps(json.loads(file.read_text()) | {"chat_template": templates}))
    with pytest.raises(RunError, match=r"several chat templates.*--chat-template FILE"):
        load_encoder(EngineSettings(str(folder)))


def test_a_model_without_a_template_says_so_and_takes_one(tmp_path: Path) -> None:
    folder = random_model(tmp_path / "model", "llama")
    (folder / "chat_template.jinja").unlink()
    assert WITHOUT_TEMPLATE in load_engine(EngineSettings(str(folder), device="cpu")).notes
    template = "{{ 'Q: ' + messages[0]['content'] + ' A:' }}"
    given = load_encoder(EngineSettings(str(folder), chat_template=template))
    plain = load_encoder(EngineSettings(str(folder)))
    asked = (Turn("user", "How many?"),)
    assert given.encode_context(asked) == plain.encode_response("Q: How many? A:")
    assert plain.encode_context(asked) == plain.encode_response("How many?\n")


def test_the_files_of_templates(tmp_path: Path) -> None:
    file = tmp_path / "template.jinja"
    with pytest.raises(NotFoundError, match="not found"):
        read_chat_template(file)
    for content, words in ((b" \n", "empty"), (b"\xff", "UTF-8"), (b"x" * (5 << 20), "too large")):
        file.write_bytes(content)
        with pytest.raises(InputError, match=words):
            read_chat_template(file)
    file.write_text("{{ messages }}")
    assert read_chat_template(file) == "{{ messages }}"
