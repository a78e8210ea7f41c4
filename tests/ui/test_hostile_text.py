"""Text of foreign origin on every screen: nothing raises, nothing acts, nothing hidden reaches the output, and what is
drawn equals, byte for byte, what is drawn of the same text after it was made visible."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.widgets import Input

from core.text import visible
from sap_tui.cells import on_screen
from sap_tui.text import OutputGuard, joined, plain
from sap_tui.twin import ask
from scripts.pictures.taking import Commands
from tests.hostile import PAYLOADS, poisoned, scored_base, shown
from tests.ui.conftest import Opener, Session, change, stay_loaded

NOW = 1_760_000_000.0
LARGE = (120, 40)
SECONDS_BETWEEN_LOOKS = 5.0
MOST_LOOKS = 60
LONGEST_REST = 120.0


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    model = folder / "stand-in-model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "sap-tui-stand-in"}')
    (model / "model.safetensors").write_bytes(b"no weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        return scored_base(folder, model)


@dataclass(frozen=True)
class Twins:
    """Two homes that pass for the same one: a poisoned catalogue, and the same with its text made visible."""

    folder: Path

    def catalogue(self, name: str) -> Path:
        """The catalogue of `raw` or `scrubbed`, by a path that is the same for both."""
        here = self.folder / "home"
        here.unlink(missing_ok=True)
        here.symlink_to(self.folder / name)
        return here / "catalogue.db"


@pytest.fixture(scope="module")
def twins(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Twins:
    folder = tmp_path_factory.mktemp("twins")
    for name, scrub in (("raw", str), ("scrubbed", shown)):
        poisoned(base, folder / name, scrub, together=True)
    return Twins(folder)


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock on the screen."""
    monkeypatch.setattr("time.time", lambda: NOW)


Step = tuple[str, ...]


@dataclass(frozen=True)
class Walk:
    """Keys to press on a screen, after each step of which it is looked at, and words that it says on the way."""

    screen: str
    steps: Sequence[tuple[str, ...]]
    says: tuple[str, ...]
    size: tuple[int, int] = LARGE


DOWN = ("down",)
TO_STRATEGY = ("g", "down")
WALKS = {
    "catalogue": Walk(
        "catalogue",
        ((*TO_STRATEGY, "space"), ("d",), ("escape", "G"), ("slash", "[", "enter", "y"), ("escape", "colon")),
        ("1 marked", "Delete", "Sent to the clipboard", "Import files of responses"),
    ),
    "narrow": Walk("catalogue", (TO_STRATEGY, ("l", "l"), ("G",)), ("62 strategies",), (80, 24)),
    "responses": Walk(
        "catalogue", ((*TO_STRATEGY, "enter"), DOWN, ("G",), ("slash", "[")), ("Gold answer", "62 responses")
    ),
    "runs": Walk(
        "live",
        (("g",), DOWN, ("G", "up"), ("z",), ("L",), ("escape", "g", "d")),
        ("Events, newest first", "Ranking", "Log of run", "Delete"),
    ),
    "ranking": Walk(
        "ranking",
        (("o", "G", "enter"), ("G",), ("m",), ("o",), ("escape", "E")),
        ("12 questions by nll", "by ppl", "Rank which run?", "Write the ranking"),
    ),
    "compare": Walk(
        "catalogue",
        ((*TO_STRATEGY, "space", "space", "c"), ("n",), ("n",), ("number_sign", "tab", "w"), ("enter",), ("tab", "s")),
        ("surprisal from", "60 tokens", "entropy"),
    ),
    "outcomes": Walk(
        "outcomes", ((), ("v",), ("v",), ("o",)), ("outcome, accuracy", "first by", "in the order of the run")
    ),
}


async def seen(
    opened: Opener, monkeypatch: pytest.MonkeyPatch, catalogue: Path, walk: Walk, expected: Sequence[str] = ()
) -> list[str]:
    """What a terminal would get to draw the whole screen, after every step; waits for what is expected."""
    frames: list[str] = []
    said = ""
    # Commands answer in this process, which is quicker.
    monkeypatch.setattr("sap_tui.twin.ask_module", Commands())
    async with opened(catalogue, screen=walk.screen, size=walk.size) as session:
        session.app.bridge.seconds = SECONDS_BETWEEN_LOOKS
        for step in ((), *walk.steps):
            for key in (*step, ""):
                await session.press(*filter(None, [key]))
                await session.until(lambda: is_at_rest(session), LONGEST_REST)
            frames.append(await rest(session, expected[len(frames)] if expected else None))
            assert_clean(session)
            said += session.words
        assert [words for words in walk.says if words not in said] == [], session.text()
    return frames


def is_at_rest(session: Session) -> bool:
    """Whether nothing is computed; what only waits for an answer to a question does not count."""
    return all(worker.is_finished for worker in session.app.workers if worker.group != "delete")


async def rest(session: Session, expected: str | None) -> str:
    """The screen as it is painted when it is as expected, or does not change any more."""
    before, same = "", 0
    for _ in range(MOST_LOOKS):
        await session.pilot.pause(0.03)
        now = painted(session)
        before, same = now, same + 1 if now == before else 0
        if is_at_rest(session) and (now == expected or (expected is None and same >= 2)):
            break
    return now


def painted(session: Session) -> str:
    return session.app.screen._compositor.render_update(full=True).render_segments(session.app.console)


@pytest.mark.parametrize("name", WALKS)
async def test_a_screen_shows_the_same_of_a_payload_and_of_its_scrubbed_twin(
    name: str, twins: Twins, frozen: None, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(twins.folder / "home"))
    scrubbed = await seen(opened, monkeypatch, twins.catalogue("scrubbed"), WALKS[name])
    raw = await seen(opened, monkeypatch, twins.catalogue("raw"), WALKS[name], scrubbed)
    if raw != scrubbed:
        # The first walk had nothing to wait for, and may have looked too early.
        scrubbed = await seen(opened, monkeypatch, twins.catalogue("scrubbed"), WALKS[name], raw)
    for place, (one, other) in enumerate(zip(raw, scrubbed, strict=True)):
        assert one.split("\n") == other.split("\n"), f"after {WALKS[name].steps[:place]}"


def assert_clean(session: Session) -> None:
    for line in session.app.screen._compositor.render_strips():
        for segment in line:
            if not segment.control:
                assert on_screen(segment.text) == segment.text, segment
    assert session.app._exception is None
    assert not session.app._exit


async def pressed(session: Session, *keys: str) -> None:
    for key in keys:
        await session.press(key)
        assert_clean(session)


FORMS = {
    "import": ("catalogue", ("i", "tab")),
    "new run": ("catalogue", ("down", "n")),
    "edit a strategy": ("catalogue", ("down", "e", "tab", "tab", "tab")),
    "settings": ("catalogue", ("comma",)),
    "outcomes": ("outcomes", ("i",)),
}


@pytest.mark.parametrize("form", FORMS)
async def test_what_is_typed_into_a_form_is_never_acted_upon(
    form: str, twins: Twins, frozen: None, opened: Opener
) -> None:
    screen, keys = FORMS[form]
    async with opened(twins.catalogue("raw"), screen=screen) as session:
        session.app.bridge.seconds = SECONDS_BETWEEN_LOOKS
        await pressed(session, *keys)
        for field in session.app.screen.query(Input):
            for payload in ("~nobody", "".join(PAYLOADS[:-2]), "\0"):
                field.value = payload
                await session.pilot.pause()
                assert_clean(session)
        await pressed(session, "enter", "escape")


async def test_a_file_with_payloads_is_shown_before_it_is_imported(base: Path, opened: Opener, tmp_path: Path) -> None:
    """Names and texts of files, and what is wrong with their lines; lone surrogates come from there alone."""
    folder = tmp_path / "[/b] \x1b]0;x\x07 \u202e".replace("/", "")
    folder.mkdir()
    rows = [{"id": payload, payload: payload, "question": payload, "response": payload} for payload in PAYLOADS]
    rows += [{"question": payload + "\ud800"} for payload in PAYLOADS]
    for name in ("[INST] \x1b[31mred", b"\xff\x9b31m".decode("utf-8", "surrogateescape")):
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    async with opened(base) as session:
        await session.press("i")
        session.app.screen.query_one("#path", Input).value = str(folder)
        await session.until(lambda: "red.jsonl:63" in session.text(), LONGEST_REST)
        assert_clean(session)
        assert "[INST] ␛[31mred" in session.text()


async def test_markup_in_a_name_is_shown_as_it_is(running: Path, opened: Opener) -> None:
    change(running, "UPDATE strategies SET name = '[b]loud[/b]' WHERE name = 'chatty'")
    async with opened(running) as session:
        await session.sees("[b]loud[/b]")


async def test_toasts_take_no_markup(running: Path, opened: Opener) -> None:
    async with opened(running) as session:
        for payload in PAYLOADS:
            session.app.say(payload)
        await session.pilot.pause()
        assert_clean(session)
        session.app.clear_notifications()
        session.app.say("[/b] \x1b[31m [@click=app.quit]x[/]")
        await session.until(lambda: "[@click=app.quit]x[/]" in session.text())
        assert_clean(session)


async def test_a_machine_and_a_folder_may_be_called_anything(
    running: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "[/INST] \x1b[31m\u202e\udcff[@click=app.quit]x[/]"
    folder = running.parent / name.replace("/", "b")
    folder.mkdir()
    running.rename(folder / "catalogue.db")
    monkeypatch.setattr("socket.gethostname", lambda: name.replace("\udcff", ""))
    stay_loaded(folder / "catalogue.db")
    change(folder / "catalogue.db", "UPDATE scorers SET model = ?, device = ?", *["[/INST] \x1b[31m\u202e"] * 2)
    async with opened(folder / "catalogue.db", size=(160, 40), screen="live") as session:
        await session.sees("[/INST] ␛[31m⟨U+202E⟩")
        await pressed(session, "comma", "escape", "1", "y")


COMMANDS = (
    ("list",), ("runs",), ("rank", "1"), ("rank", "2", "--format", "markdown"), ("agree", "3"), ("converge", "3"),
    ("judge", "--run", "3"), ("strategy", "show"), ("responses",), ("compare",), ("show",), ("task", "list"),
    ("runs", "5"),
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_prints_the_same_of_a_payload_and_of_its_scrubbed_twin(
    command: tuple[str, ...], twins: Twins, frozen: None
) -> None:
    printed = [told(twins.catalogue(name), command, scrub) for name, scrub in (("raw", str), ("scrubbed", shown))]
    assert visible(printed[0], multiline=True) == printed[0]
    assert printed[0].splitlines() == printed[1].splitlines()
    assert len(printed[0]) > 50


def told(catalogue: Path, command: tuple[str, ...], scrub: Callable[[str], str]) -> str:
    """What a command prints and says."""
    from sap_tui.cli import main

    name = [f"{number:02d}{scrub(PAYLOADS[number])}" for number in (0, 1)]
    task = f"! sums {scrub(PAYLOADS[0])}"
    of_names = {
        ("strategy", "show"): ["strategy", "show", "--task", task, name[0]],
        ("responses",): ["strategy", "responses", "--task", task, name[0]],
        ("compare",): ["compare", "--limit", "0", "2", *name],
        ("show",): ["show", "2", name[0], "#5", "--tokens"],
    }
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(["--catalogue", str(catalogue), *of_names.get(command, command)])
    assert code == 0, out.getvalue()
    return out.getvalue()


@pytest.mark.parametrize("argument", ["\0", "\ud800", "x" * 3_000_000])
async def test_what_no_command_line_can_hold_is_a_problem_and_no_crash(argument: str, tmp_path: Path) -> None:
    answer = await ask(tmp_path / "catalogue.db", "list", "--task", argument)
    assert answer.code
    assert "cannot be asked" in answer.problem


def test_plain_text_has_no_spans_of_its_own() -> None:
    assert plain("[b]x[/b]").spans == []
    assert plain("a\x1bb\nc").plain == "a␛b⏎c"
    assert plain("a\nb", multiline=True).plain == "a\nb"


def test_joined_leaves_out_what_is_empty() -> None:
    assert joined([plain("a"), plain(""), plain("b")]).plain == "a · b"


def test_the_guard_drops_what_is_hidden_and_keeps_columns() -> None:
    segments = [Segment("a\x1b[31mb\u202ec\xadd"), Segment("fine")]
    guarded = OutputGuard().apply(segments, Color(0, 0, 0))
    assert guarded[0].text == "a[31mbc d"
    assert guarded[1] is segments[1]


@pytest.mark.parametrize("payload", [*PAYLOADS, "\ud800 lone", "\udcff"])
def test_the_guard_lets_nothing_hidden_pass(payload: str) -> None:
    (guarded,) = OutputGuard().apply([Segment(payload)], Color(0, 0, 0))
    assert on_screen(guarded.text) == guarded.text
    assert cell_len(guarded.text) == cell_len(payload)
