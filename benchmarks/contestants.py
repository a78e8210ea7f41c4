"""Who takes part: names as in the tables, where each one's code is and in which environment it runs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Contestant:
    """`code` is module:class; `peer` is the package that it needs, if it is not ours.

    `computes` says what it pays for: everything anew for each response, the same with logits of response tokens only,
    or each context once.
    """

    name: str
    code: str
    options: dict[str, object] = field(default_factory=dict)
    peer: str = ""
    computes: str = "all anew"
    needs_cuda: bool = False


REFERENCE = Contestant("reference", "benchmarks.loops:Reference")
PAPER = Contestant("paper loop", "benchmarks.loops:PaperLoop", {"use_cache": True})
PAPER_NO_CACHE = Contestant("paper loop no cache", "benchmarks.loops:PaperLoop", {"use_cache": False})
LM_EVAL_1 = Contestant("lm-eval batch 1", "benchmarks.other_tools:LmEval", {"all_at_once": False}, peer="lm-eval")
LM_EVAL_S = Contestant("lm-eval batch S", "benchmarks.other_tools:LmEval", {"all_at_once": True}, peer="lm-eval")
MINICONS = Contestant("minicons", "benchmarks.other_tools:Minicons", peer="minicons")
VLLM = Contestant("vLLM", "benchmarks.other_tools:Vllm", peer="vllm", needs_cuda=True)
PACKED = Contestant("sap-tui packed", "benchmarks.ours:SapTui", {"tier": "packed cascade"}, computes="context once")
SHARED = Contestant("sap-tui shared cache", "benchmarks.ours:SapTui", {"tier": "shared cache"}, computes="context once")
ONE_BY_ONE = Contestant(
    "sap-tui one by one", "benchmarks.ours:SapTui", {"tier": "one by one"}, computes="response logits"
)

ALL = (PAPER, PAPER_NO_CACHE, LM_EVAL_1, LM_EVAL_S, MINICONS, VLLM, PACKED, SHARED, ONE_BY_ONE)
