"""Model folders made to harm: links and indexes that lead elsewhere, pickles, code, pipes. One line, nothing done."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.domain import RunRequest, ScoreSpec
from core.errors import RunError, SapError
from core.model_files import check_model_files, own_code
from core.models import check_unchanged, find_target, template_digest
from core.scoring.hf.load import load_engine
from core.scoring.protocol import EngineSettings
from tests.unit.scoring_models import random_model, rewrite_config

SECONDS = 10.0


class Bomb:
    """What a pickle of it does when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_model(tmp_path_factory.mktemp("good") / "model", "llama")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "model"))


def tree(folder: Path) -> Iterator[tuple[str, int]]:
    for file in sorted(folder.rglob("*")):
        yield str(file), file.lstat().st_mtime_ns


def refused(folder: Path, tmp_path: Path, **settings: str) -> str:
    """What scoring the folder says: one line, in time, with nothing written anywhere."""
    before, begin = list(tree(tmp_path)), time.monotonic()
    with pytest.raises(RunError) as caught:
        load_engine(EngineSettings(str(folder), device="cpu", **settings))
    assert time.monotonic() - begin < SECONDS
    assert list(tree(tmp_path)) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def elsewhere(folder: Path, name: str) -> Path:
    """Move a file of the folder out of it and leave a link."""
    other = folder.parent / "elsewhere"
    other.mkdir(exist_ok=True)
    (folder / name).rename(other / name)
    (folder / name).symlink_to(Path("..") / "elsewhere" / name)
    return other / name


def index_out_of(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "model.safetensors")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "one.safetensors").write_bytes(b"")


def index_absolute(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "/etc/passwd"}}')


def pipe(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return make


def loop(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("config.json")


def hostile_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(folder.parent / "was run")))


def pickle_by_another_name(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb(folder.parent / "was run")))


def nested_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)


def large_config(folder: Path) -> None:
    with (folder / "config.json").open("r+b") as stream:
        stream.truncate(300 << 20)


def own_tokenizer(folder: Path) -> None:
    (folder / "tokenization_x.py").write_text(f"import os; os.mkdir({str(folder.parent / 'was run')!r})\n")
    file = folder / "tokenizer_config.json"
    changes = {"auto_map": {"AutoTokenizer": ["tokenization_x.X", None]}, "tokenizer_class": "X"}
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def own_model(folder: Path) -> None:
    (folder / "modeling_x.py").write_text(f"import os; os.mkdir({str(folder.parent / 'was run')!r})\n" * 3)
    rewrite_config(folder, model_type="x", auto_map={"AutoConfig": "modeling_x.C", "AutoModel": "modeling_x.M"})


def code_of_others(folder: Path) -> None:
    rewrite_config(folder, model_type="x", auto_map={"AutoConfig": "someone/else--modeling_y.C"})


def header_bomb(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((1 << 62).to_bytes(8, "little") + b"{}")


def offsets_beyond(folder: Path) -> None:
    header = json.dumps({"lm_head.weight": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "weights behind a link": (lambda folder: elsewhere(folder, "model.safetensors"), "link out of the model's folder"),
    "tokenizer behind a link": (lambda folder: elsewhere(folder, "tokenizer.json"), "link out of the model's folder"),
    "configuration behind a link": (lambda folder: elsewhere(folder, "config.json"), "link out of the model's folder"),
    "a link to itself": (loop, "cannot be read"),
    "an index that leads out": (index_out_of, "outside its folder: '../model.safetensors'"),
    "an index to an absolute path": (index_absolute, "outside its folder: '/etc/passwd'"),
    "a pipe for weights": (pipe("model.safetensors"), "no regular file"),
    "a pipe for a configuration": (pipe("config.json"), "no regular file"),
    "a hostile pickle": (hostile_pickle, "pickled weights only"),
    "a pickle by another name": (pickle_by_another_name, "damaged"),
    "a deep configuration": (nested_config, "does not load"),
    "a huge configuration": (large_config, "over 256 MiB"),
    "code of the tokenizer": (own_tokenizer, "(tokenization_x.py, 1 lines)"),
    "code of the model": (own_model, "(modeling_x.py, 3 lines)"),
    "code of another repository": (code_of_others, "(modeling_y.py)"),
    "a header without end": (header_bomb, "damaged"),
    "offsets beyond the file": (offsets_beyond, "damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_folders_are_refused(name: str, folder: Path, tmp_path: Path) -> None:
    make, words = HOSTILE[name]
    make(folder)
    assert words in refused(folder, tmp_path)
    assert not (tmp_path / "was run").exists()


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_hostile_hangs_or_raises_where_a_model_is_only_looked_for(name: str, folder: Path) -> None:
    HOSTILE[name][0](folder)
    begin = time.monotonic()
    with suppress(SapError):
        find_target(str(folder))
    assert time.monotonic() - begin < SECONDS


def test_a_hub_cache_keeps_its_files_behind_links(good: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--owner--name"
    snapshot = repository / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for number, file in enumerate(sorted(good.iterdir())):
        shutil.copy(file, repository / "blobs" / str(number))
        (snapshot / file.name).symlink_to(Path("..") / ".." / "blobs" / str(number))
    check_model_files(snapshot)
    assert find_target(str(snapshot)).weights_digest == find_target(str(good)).weights_digest


def test_a_folder_may_be_reached_through_a_link(good: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(good)
    check_model_files(tmp_path / "link")


def adapter(folder: Path, **files: bytes) -> Path:
    made = folder.parent / "adapter"
    made.mkdir()
    (made / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}))
    for name, content in files.items():
        (made / f"adapter_model.{name}").write_bytes(content)
    return made


def test_hostile_adapters(folder: Path, tmp_path: Path) -> None:
    made = adapter(folder, bin=pickle.dumps(Bomb(tmp_path / "was run")))
    assert "Pickled weights are not opened" in refused(folder, tmp_path, adapter=str(made))
    (made / "adapter_model.safetensors").write_bytes(pickle.dumps(Bomb(tmp_path / "was run")))
    assert "does not load" in refused(folder, tmp_path, adapter=str(made))
    (made / "adapter_model.safetensors").unlink()
    (made / "adapter_model.safetensors").symlink_to(folder / "model.safetensors")
    assert "link out of" in refused(folder, tmp_path, adapter=str(made))
    assert not (tmp_path / "was run").exists()


def test_code_that_a_known_architecture_only_mentions_is_named_but_not_needed(folder: Path) -> None:
    (folder / "modeling_x.py").write_text("raise SystemExit\n")
    rewrite_config(folder, auto_map={"AutoModelForCausalLM": "modeling_x.M"})
    assert own_code(folder) == "modeling_x.py, 1 lines"
    load_engine(EngineSettings(str(folder), device="cpu"))


def test_a_model_that_changed_while_its_run_waited_is_not_scored(folder: Path) -> None:
    target = find_target(str(folder))
    request = RunRequest(model="m", path=str(folder), metrics=("nll",))
    spec = ScoreSpec(
        weights_digest=target.weights_digest,
        quantization="none",
        dtype="float32",
        chat_template_digest=target.chat_template_digest,
    )
    check_unchanged(request, spec)
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-900:] = bytes(900)
    weights.write_bytes(content)
    # Zeros are numbers: the model loads, and only its digest tells.
    load_engine(EngineSettings(str(folder), device="cpu"))
    with pytest.raises(RunError, match="changed since this run was queued"):
        check_unchanged(request, spec)


def test_a_chat_template_that_changed_while_its_run_waited_is_not_used(folder: Path) -> None:
    target = find_target(str(folder))
    spec = ScoreSpec(target.weights_digest, "none", "float32", chat_template_digest=target.chat_template_digest)
    request = RunRequest(model="m", path=str(folder), metrics=("nll",))
    check_unchanged(request, spec)
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    with pytest.raises(RunError, match="changed since this run was queued"):
        check_unchanged(request, spec)
    own = "{{ messages[-1].content }}"
    check_unchanged(replace(request, chat_template=own), replace(spec, chat_template_digest=template_digest(own)))
