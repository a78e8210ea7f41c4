"""From turns and texts to token ids: the model's chat template, control tokens as text, system prompt and options."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from core.domain import Turn
from core.errors import RunError
from core.scoring.hf.token_ends import TokenEnds
from core.scoring.protocol import EngineSettings
from core.scoring.template_trial import GIVE_ONE, first_line, longest_rendering

_PRIVATE_USE = range(0xF0000, 0xFFFFE)


class ChatEncoder:
    """The tokenizer's side of a target model.

    With `control_tokens="as_text"` a control token's string in the data is encoded as ordinary text, as
    `apply_chat_template(sanitize_control_tokens=True)` of newer transformers does, without its loss of private-use
    characters; `"as_published"` lets such strings become control tokens, as the papers' code does.
    """

    def __init__(self, tokenizer: Any, settings: EngineSettings, max_context_tokens: int) -> None:
        self.max_context_tokens = max_context_tokens
        self._tokenizer = tokenizer
        self._system = settings.system
        self._options = dict(settings.template_options)
        self._as_text = settings.control_tokens == "as_text"
        self._template = chat_template_of(tokenizer)
        self.control_tokens = _control_tokens(tokenizer, self._template or "")
        self._token_ends: TokenEnds | None = None

    @property
    def has_template(self) -> bool:
        return self._template is not None

    def encode_context(self, turns: Sequence[Turn]) -> tuple[int, ...]:
        """Token ids of the rendered turns with the generation prompt; RunError where the template refuses them."""
        return self._encode_turns(turns, is_prompt=True)

    def encode_conversation(self, turns: Sequence[Turn]) -> tuple[int, ...]:
        """Token ids of the rendered turns, the last of which is the answer; RunError as above."""
        return self._encode_turns(turns, is_prompt=False)

    def encode_response(self, text: str) -> tuple[int, ...]:
        """Token ids of a response by itself, without special tokens."""
        return tuple(self._encode(text, as_text=self._as_text))

    def token_ends(self, text: str) -> tuple[int, ...]:
        """As `core.scoring.protocol.Encoder.token_ends`."""
        if self._token_ends is None:
            self._token_ends = TokenEnds(self._tokenizer, self._as_text)
        return self._token_ends(text, self.encode_response(text))

    def end_of_turn_ids(self) -> set[int]:
        """Ids of the control token that the template writes behind an assistant turn, if it writes one."""
        answer = "ANSWER"
        if self._template is None or not self.control_tokens:
            return set()
        messages = [{"role": "user", "content": "QUESTION"}, {"role": "assistant", "content": answer}]
        try:
            rendered = self._tokenizer.apply_chat_template(messages, tokenize=False)
        except Exception:
            return set()
        found = _any_of(self.control_tokens).match(rendered.rpartition(answer)[2])
        return {self._tokenizer.convert_tokens_to_ids(found.group())} if found else set()

    def _encode_turns(self, turns: Sequence[Turn], is_prompt: bool) -> tuple[int, ...]:
        turns = self._with_system(turns)
        if self._template is None:
            return self._encode_plain(turns, end="\n" if is_prompt else "")
        markers = _unused_characters(turns, self._options)
        mark = self._marker(markers)
        messages = [{"role": turn.role, "content": mark(turn.content)} for turn in turns]
        options = {name: mark(value) if isinstance(value, str) else value for name, value in self._options.items()}
        return tuple(self._encode_marked(self._render(messages, options, is_prompt), markers))

    def _with_system(self, turns: Sequence[Turn]) -> tuple[Turn, ...]:
        if self._system is None or turns[0].role == "system":
            return tuple(turns)
        return (Turn("system", self._system), *turns)

    def _encode_plain(self, turns: Sequence[Turn], end: str) -> tuple[int, ...]:
        text = "\n".join(turn.content for turn in turns) + end
        ids = self._encode(text, as_text=self._as_text)
        begin = self._tokenizer.bos_token_id
        if begin is not None and self._tokenizer.encode("a")[:1] == [begin]:
            ids = [begin, *ids]
        return tuple(ids)

    def _marker(self, markers: tuple[str, str]) -> Callable[[str], str]:
        if not self._as_text or not self.control_tokens:
            return str
        pattern = _any_of(self.control_tokens)
        return lambda text: pattern.sub(f"{markers[0]}\\g<0>{markers[1]}", text)

    def _render(self, messages: list[dict[str, str]], options: dict[str, Any], is_prompt: bool) -> str:
        try:
            rendered: str = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=is_prompt, **options
            )
        except Exception as error:
            # A template may raise whatever it likes.
            raise RunError(
                f"The model's chat template refuses this conversation: {first_line(error)}.",
                "Check the system prompt, the roles of the turns and the template options.",
            ) from error
        content = sum(len(message["content"]) for message in messages) + sum(
            len(str(each)) for each in options.values()
        )
        if len(rendered) > longest_rendering(content):
            raise RunError(f"The model's chat template makes {len(rendered):,} characters of {content:,}.", GIVE_ONE)
        return rendered

    def _encode_marked(self, rendered: str, markers: tuple[str, str]) -> list[int]:
        first, second = markers
        if first not in rendered and second not in rendered:
            return self._encode(rendered, as_text=False)
        pattern = re.compile(f"{first}({_any_of(self.control_tokens).pattern}){second}|[{first}{second}]")
        pieces = pattern.split(rendered)
        ids = self._encode(pieces[0], as_text=False)
        for number, piece in enumerate(pieces[1:], start=1):
            if piece:
                ids += self._encode_inner(piece, is_data=number % 2 == 1)
        return ids

    def _encode_inner(self, piece: str, is_data: bool) -> list[int]:
        """Ids of a piece from inside a text: behind a newline, since SentencePiece puts a space before a beginning."""
        encode = self._encode_without_added_tokens if is_data else partial(self._encode, as_text=False)
        newline = self._encode("\n", as_text=False)
        ids = encode("\n" + piece)
        return ids[len(newline) :] if ids[: len(newline)] == newline else encode(piece)

    def _encode_without_added_tokens(self, text: str) -> list[int]:
        """Ids of a control token's string as text; `split_special_tokens` alone would not split `<think>`."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if backend is None:
            return self._encode(text, as_text=True)
        if backend.normalizer is not None:
            text = backend.normalizer.normalize_str(text)
        pieces = [text]
        if backend.pre_tokenizer is not None:
            pieces = [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
        return [token.id for piece in pieces for token in backend.model.tokenize(piece)]

    def _encode(self, text: str, as_text: bool) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=as_text)
        return ids


def chat_template_of(tokenizer: Any) -> str | None:
    """The template of conversations without tools. Raises RunError where there are several and none is the default."""
    if not getattr(tokenizer, "chat_template", None):
        return None
    try:
        template: str = tokenizer.get_chat_template()
    except ValueError as error:
        raise RunError("The model has several chat templates, and none of them is the default.", GIVE_ONE) from error
    if not isinstance(template, str):
        raise RunError("The model's chat template is no text.", GIVE_ONE)
    return template


def _control_tokens(tokenizer: Any, template: str) -> tuple[str, ...]:
    """Special tokens, and added tokens that the template writes; whitespace is text."""
    added = tokenizer.added_tokens_decoder.values()
    kept = [token.content for token in added if token.special or token.content in template]
    return tuple(content for content in kept if content and not content.isspace())


def _any_of(tokens: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(tokens, key=len, reverse=True))))


def _unused_characters(turns: Sequence[Turn], options: dict[str, Any]) -> tuple[str, str]:
    """Two private-use characters that occur nowhere in the input, so that no text can forge or lose a marker."""
    used = {character for turn in turns for character in turn.content}
    used |= {character for value in options.values() if isinstance(value, str) for character in value}
    free = (chr(code) for code in _PRIVATE_USE if chr(code) not in used)
    return next(free), next(free)
