"""Where tokens end in the original text: bytes, normalizers, control tokens, trimmed offsets, no offsets at all."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from core.scoring.hf.encode import ChatEncoder
from core.scoring.hf.token_ends import TokenEnds
from core.scoring.protocol import EngineSettings
from tests.conftest import TINY_MODEL
from tests.unit.scoring_models import engine_of

TEXTS = (
    "",
    " ",
    "\n\n",
    "She had 12 eggs. Then?  Yes.\r\n\tif x:\n        y = 3\n\n",
    "naïve 世界 \U0001f600! e\u0301 ﬁne x² ½",
    "a<|end|>b <s></s> <think>c",
    "  two before and two behind  ",
    "\u200b\ufeff\ufffd \U0001f468\u200d\U0001f469",
)
CORPUS = ("Hello world, how many apples? 12 + 3 = 15.\n", "the quick brown fox jumps over the lazy dog. ") * 20
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def trimming_tokenizer() -> Tokenizer:
    """Byte-level pair encoding whose offsets leave out spaces, and whose tokens may end with some."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(("if x:\n    y = 3\n    z = x\n    end. \n  ",) * 20, trainer)
    return tokenizer


def pair_tokenizer() -> Tokenizer:
    """As Llama's: a space before the text, unknown characters as bytes."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=["<unk>", *BYTES], show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def unigram_tokenizer() -> Tokenizer:
    """As T5's and XLM's: compatibility forms, spaces at both ends dropped, a space before every word."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Strip()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def encoder_of(tokenizer: Tokenizer, control_tokens: str = "as_text") -> ChatEncoder:
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.add_tokens(["<think>"])
    return ChatEncoder(fast, EngineSettings("", control_tokens=control_tokens), 1000)


def pieces(text: str, ends: tuple[int, ...]) -> list[str]:
    return [text[start:end] for start, end in zip((0, *ends), ends, strict=False)]


ENCODERS = {
    "trimming": encoder_of(trimming_tokenizer()),
    "pairs": encoder_of(pair_tokenizer()),
    "unigrams": encoder_of(unigram_tokenizer()),
    "control tokens": encoder_of(pair_tokenizer(), "as_published"),
    "tiny": ChatEncoder(AutoTokenizer.from_pretrained(TINY_MODEL), EngineSettings(""), 1000),
}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("text", TEXTS)
def test_the_pieces_between_the_ends_are_the_text(encoder: ChatEncoder, text: str) -> None:
    ends = encoder.token_ends(text)
    assert len(ends) == len(encoder.encode_response(text))
    assert list(ends) == sorted(ends)
    assert "".join(pieces(text, ends)) == (text if ends else "")


@pytest.mark.parametrize("name", ["trimming", "tiny"])
@pytest.mark.parametrize("text", [text for text in TEXTS if "<think>" not in text])
def test_byte_level_tokens_end_where_their_bytes_do(name: str, text: str) -> None:
    encoder = ENCODERS[name]
    byte_of = {letter: byte for byte, letter in bytes_to_unicode().items()}
    raw, expected = b"", []
    for token in encoder._tokenizer.convert_ids_to_tokens(encoder.encode_response(text)):
        raw += bytes(byte_of[letter] for letter in token)
        expected.append(len(raw.decode(errors="ignore")))
    assert encoder.token_ends(text) == tuple(expected)


def test_spaces_that_the_offsets_leave_out_belong_to_their_token() -> None:
    text = "if x:\n    y = 3\n    end. \n  "
    encoder = ENCODERS["trimming"]
    ids = encoder.encode_response(text)
    assert pieces(text, encoder.token_ends(text)) == [encoder._tokenizer.decode([token]) for token in ids]
    assert any(piece.strip() and piece.endswith(" ") for piece in pieces(text, encoder.token_ends(text)))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("pairs", "世 2", ["", "", "", "世", " ", "2"]),
        ("unigrams", " ﬁ² ½ ", [" ", "", "ﬁ", "²", " ", "", "½ "]),
        ("control tokens", "3</s>4<s>", ["", "3", "</s>", "", "4", "<s>"]),
    ],
)
def test_a_character_of_several_tokens_counts_with_the_last(name: str, text: str, expected: list[str]) -> None:
    assert pieces(text, ENCODERS[name].token_ends(text)) == expected


class WithoutOffsets:
    """A tokenizer of which only encoding and decoding are known."""

    def __init__(self, tokenizer: Any) -> None:
        self.encode, self.decode = tokenizer.encode, tokenizer.decode


@pytest.mark.parametrize("name", ["trimming", "pairs", "tiny"])
@pytest.mark.parametrize("text", [text for text in TEXTS if "\ufffd" not in text])
def test_without_offsets_decoding_tells_the_same(name: str, text: str) -> None:
    encoder = ENCODERS[name]
    ids = encoder.encode_response(text)
    assert TokenEnds(WithoutOffsets(encoder._tokenizer), as_text=True)(text, ids) == encoder.token_ends(text)


def test_ids_that_the_offsets_do_not_belong_to_are_decoded() -> None:
    tokenizer = ENCODERS["tiny"]._tokenizer
    letters = [tokenizer.convert_tokens_to_ids(letter) for letter in "then"]
    assert TokenEnds(tokenizer, as_text=True)("then", letters) == (1, 2, 3, 4)


def test_a_loaded_engine_tells_what_its_encoder_tells() -> None:
    engine = engine_of(TINY_MODEL)
    assert engine.token_ends(TEXTS[3]) == ENCODERS["tiny"].token_ends(TEXTS[3])
