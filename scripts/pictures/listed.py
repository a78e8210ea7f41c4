"""Every picture there is: each screen, and what makes screens look different."""

from __future__ import annotations

from scripts.pictures.taking import Picture

NARROW = (80, 24)
_TO_COMPARE = (("down", "2 "), ("c", "nats"))

PICTURES = (
    Picture("catalogue", ("down", "down"), "ranked by sap"),
    Picture("catalogue-narrow", ("down",), "ranked by sap", size=NARROW),
    Picture("catalogue-empty", (), "Nothing here yet", catalogue="empty"),
    Picture("responses", ("down", ("enter", "Response"), "down"), "Response"),
    Picture("import", ("i", "sample_data/arithmetic"), "6 files, 1,200 records"),
    Picture("import-bad-lines", ("i", "responses/terse.jsonl"), "terse.jsonl: 2 records"),
    Picture("new-run", ("n", "tab", "tab", "right", "right"), "scores to compute"),
    Picture("runs", (), "Ranking so far", "live"),
    Picture("runs-narrow", (), "scoring", "live", size=NARROW),
    Picture("runs-failed", ("g",), "the model does not fit", "live", catalogue="failed"),
    Picture("ranking", (), "P(best)", "ranking"),
    Picture("ranking-light", (), "P(best)", "ranking", "sap-light"),
    Picture("ranking-ansi", (), "P(best)", "ranking", "sap-ansi"),
    Picture("ranking-no-colour", (), "P(best)", "ranking", environment={"NO_COLOR": "1"}),
    Picture("ranking-narrow", (), "95% interval", "ranking", size=NARROW),
    Picture("compare", _TO_COMPARE, "nats", "ranking"),
    Picture("sample", (*_TO_COMPARE, ("tab", "nats"), ("enter", "entropy"), "w", "w"), "token 35 of", "ranking"),
    Picture("outcomes", (), "outcome, accuracy", "outcomes"),
    Picture("agreement", ("v",), "first by", "outcomes"),
    Picture("convergence", ("v", "v"), "questions, in the order", "outcomes"),
    Picture("settings", ("comma", "tab"), "refresh_seconds"),
    Picture("palette", (("colon", "Import files"), "r", "u", "n"), "run"),
    Picture("help", ("question_mark",), "Keys here", "ranking"),
)
