"""Which characters of a text its tokens are, by the tokenizer's offsets or, where it has none, by decoding."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

_REPLACEMENT = "\ufffd"


class TokenEnds:
    """Ends of the tokens of texts, as `core.scoring.protocol.Encoder.token_ends`.

    Characters that the tokenizer drops belong to the token behind them, and at the end of the text to the last one.
    """

    def __init__(self, tokenizer: Any, as_text: bool) -> None:
        self._tokenizer = tokenizer
        self._offsets = _offset_tokenizer(tokenizer, as_text)

    def __call__(self, text: str, ids: Sequence[int]) -> tuple[int, ...]:
        """`ids` are those that the tokenizer made of the text."""
        if not ids:
            return ()
        encoding = None if self._offsets is None else self._offsets.encode(text, add_special_tokens=False)
        if encoding is None or encoding.ids != list(ids):
            ends = self._decoded_ends(text, ids)
        else:
            ends = _ends_of_offsets(encoding.offsets)
        return (*ends[:-1], len(text))

    def _decoded_ends(self, text: str, ids: Sequence[int]) -> list[int]:
        """Lengths of what the first tokens decode to: exact where all of them decode to the text."""
        lengths = []
        for count in range(1, len(ids) + 1):
            decoded = self._tokenizer.decode(ids[:count], clean_up_tokenization_spaces=False)
            known = decoded if text.startswith(decoded) else decoded.rstrip(_REPLACEMENT)
            lengths.append(min(len(known), len(text)))
        return [int(end) for end in np.maximum.accumulate(lengths)]


def _offset_tokenizer(tokenizer: Any, as_text: bool) -> Any:
    """A copy of a fast tokenizer that encodes as it does, without the step that trims spaces from the offsets."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    offsets = copy.deepcopy(backend)
    offsets.post_processor = None
    offsets.encode_special_tokens = as_text
    offsets.no_truncation()
    offsets.no_padding()
    return offsets


def _ends_of_offsets(offsets: list[tuple[int, int]]) -> list[int]:
    """A token ends where the next one begins, if that lies within it: a character of both counts with the last."""
    starts, ends = np.maximum.accumulate(np.array(offsets), axis=0).T
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    return [int(end) for end in ends]
