"""The app on catalogues that were damaged: what can be read is shown, and a line says what to do."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from core.errors import SapError
from core.settings import Settings
from core.store.damage import damage
from core.store.db import prepare
from sap_tui.app import SapApp
from tests.ui.conftest import Session
from tests.unit.test_damage import spoil
from tests.unit.test_migrations import old_catalogue


@pytest.mark.parametrize("seed", [1, 2])
async def test_it_shows_what_is_left(tmp_path: Path, seed: int) -> None:
    path = old_catalogue(tmp_path, 3)
    prepare(path)
    spoil(path, seed)
    with suppress(SapError):
        prepare(path)
    app = SapApp(path, Settings(refresh_seconds=0.05))
    async with app.run_test(size=(120, 36)) as pilot:
        session = Session(app, pilot)
        await session.until(lambda: app.snapshot.read_at or app.snapshot.problem)
        assert app.snapshot.problem or not damage(path)
        await session.press("2")
        await session.press("1")
        assert app.return_code is None
