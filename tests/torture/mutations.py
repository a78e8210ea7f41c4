"""The seeded faults of the queue. The text of each stands in its file exactly once."""

from __future__ import annotations

from dataclasses import dataclass

CLAIM, RULES, FAULTS = "tests/jobs/test_claim.py", "tests/jobs/test_rules.py", "tests/jobs/test_faults.py"
KILL, WARM, POISON = "tests/jobs/test_kill.py", "tests/jobs/test_warm_scorer.py", "tests/jobs/test_poison.py"
STORE = "tests/unit/test_store.py"


@dataclass(frozen=True)
class Mutant:
    """What is wrong, where, the piece of text and what stands there instead, and the tests of which one must fail."""

    name: str
    file: str
    text: str
    instead: str
    tests: tuple[str, ...]

    def mutate(self, source: str) -> str:
        """Raises ValueError where the text is not there exactly once."""
        if source.count(self.text) != 1:
            raise ValueError(f"{self.name}: {self.file} holds its text {source.count(self.text)} times, make it anew")
        return source.replace(self.text, self.instead)


_OWNED = "run.owner != owner or is_alive(owner)"

MUTANTS = (
    Mutant(
        "claims what a living process works on",
        "core/jobs/claim.py",
        "run.state is RunState.RUNNING and not (run.owner and is_alive(run.owner))",
        "run.state is RunState.RUNNING",
        (f"{CLAIM}::test_a_run_is_claimed_once",),
    ),
    Mutant(
        "claims a paused or cancelled run",
        "core/jobs/claim.py",
        "if not wanted or not (run.state",
        "if not (run.state",
        (f"{CLAIM}::test_wishes_reach_the_owner",),
    ),
    Mutant(
        "the fence stays",
        "core/jobs/claim.py",
        "fence, attempt = run.fence + 1,",
        "fence, attempt = run.fence,",
        (f"{CLAIM}::test_whoever_was_overtaken_writes_nothing",),
    ),
    Mutant(
        "the fence is not asked for",
        "core/jobs/claim.py",
        "WHERE id = :run AND fence = :fence AND state = 'running'",
        "WHERE id = :run AND state = 'running'",
        (f"{CLAIM}::test_whoever_was_overtaken_writes_nothing",),
    ),
    Mutant(
        "everybody is dead",
        "core/processes/identity.py",
        "return pid_here(identity) is not None",
        "return False",
        (f"{CLAIM}::test_a_run_is_claimed_once",),
    ),
    Mutant(
        "pid reuse is ignored",
        "core/processes/identity.py",
        "if _start_time(identity.pid) == identity.start:",
        "if _start_time(identity.pid) is not None:",
        (f"{CLAIM}::test_a_reused_pid_is_dead_and_never_signalled",),
    ),
    Mutant(
        "a restart of the machine is ignored",
        "core/processes/identity.py",
        "if identity.boot != boot_id() or identity in _known_dead:",
        "if identity in _known_dead:",
        (f"{CLAIM}::test_another_boot_is_dead",),
    ),
    Mutant(
        "a zombie counts as alive",
        "core/processes/identity.py",
        'fields[0] in "ZX"',
        'fields[0] in "X"',
        (f"{CLAIM}::test_a_zombie_is_dead",),
    ),
    Mutant(
        "deferred BEGIN",
        "core/store/db.py",
        '"BEGIN IMMEDIATE"',
        '"BEGIN"',
        (f"{RULES}::test_a_transaction_holds_the_lock_file_and_sqlites_own",),
    ),
    Mutant(
        "no lock file",
        "core/store/db.py",
        "fcntl.flock(self._lock, fcntl.LOCK_EX)",
        "pass",
        (f"{RULES}::test_a_transaction_holds_the_lock_file_and_sqlites_own",),
    ),
    Mutant(
        "closing without the lock",
        "core/store/db.py",
        "            with self.locked():\n                try:",
        "            if True:\n                try:",
        (f"{RULES}::test_closing_waits_for_the_lock",),
    ),
    Mutant(
        "no rollback",
        "core/store/db.py",
        'self.connection.execute("ROLLBACK")',
        'self.connection.execute("COMMIT")',
        (f"{STORE}::test_a_failed_transaction_leaves_nothing",),
    ),
    Mutant(
        "commits are not synced",
        "core/store/db.py",
        '("wal", 2)',
        '("wal", 1)',
        (f"{STORE}::test_durability_settings_hold",),
    ),
    Mutant(
        "counters and scores in two transactions",
        "core/run_work/score_run.py",
        "            self._store(connection, chunks, results)\n",
        '            connection.execute("COMMIT")\n            connection.execute("BEGIN IMMEDIATE")\n'
        "            self._store(connection, chunks, results)\n",
        (f"{FAULTS}::test_every_kind_of_statement",),
    ),
    Mutant(
        "counters apart from rows",
        "core/run_work/score_run.py",
        "done=before.done + len(results)",
        "done=before.done + len(chunks)",
        (f"{FAULTS}::test_every_kind_of_statement",),
    ),
    Mutant(
        "a score that exists is overwritten",
        "core/store/scores.py",
        " ON CONFLICT (spec, context, response) DO NOTHING",
        " ON CONFLICT (spec, context, response) DO UPDATE SET nll_sum = excluded.nll_sum",
        (f"{RULES}::test_a_score_that_exists_is_never_overwritten",),
    ),
    Mutant(
        "INSERT OR REPLACE",
        "core/store/scores.py",
        '"INSERT INTO scores (spec, context, response, tokens, nll_sum, rank_sum, engine)'
        ' VALUES (?, ?, ?, ?, ?, ?, ?)"\n'
        '        " ON CONFLICT (spec, context, response) DO NOTHING"',
        '"INSERT OR REPLACE INTO scores (spec, context, response, tokens, nll_sum, rank_sum, engine)"\n'
        '        " VALUES (?, ?, ?, ?, ?, ?, ?)"',
        (f"{RULES}::test_a_score_that_exists_is_never_overwritten",),
    ),
    Mutant(
        "done with samples left",
        "core/jobs/claim.py",
        "        if left:\n",
        "        if left < 0:\n",
        (f"{RULES}::test_a_run_with_samples_left_is_never_done",),
    ),
    Mutant(
        "cancel and pause are not heeded",
        "core/run_work/score_run.py",
        'if self._want != "run" or self._stopping():',
        "if self._stopping():",
        (f"{RULES}::test_a_wish_is_heeded_after_the_chunk_at_hand",),
    ),
    Mutant(
        "a cancelled orphan is queued again",
        "core/jobs/claim.py",
        'if run.want == "cancel":\n        state = RunState.CANCELLED\n    elif',
        "if",
        (f"{RULES}::test_a_cancelled_orphan_is_cancelled_and_not_queued",),
    ),
    Mutant(
        "barren attempts are never counted",
        "core/jobs/claim.py",
        "barren = _barren(connection, run.id) + 1 if is_barren else 0",
        "barren = 0",
        (f"{CLAIM}::test_three_barren_attempts_end_a_run",),
    ),
    Mutant(
        "an orphan that changed hands is taken away",
        "core/jobs/claim.py",
        f"run.state is not RunState.RUNNING or {_OWNED}",
        "run.state is not RunState.RUNNING",
        (f"{CLAIM}::test_an_orphan_that_changed_hands_is_left_alone",),
    ),
    Mutant(
        "a restart of the machine resumes by itself",
        "core/jobs/claim.py",
        "UPDATE runs SET want = 'pause' WHERE id = ?\", (number,)",
        'UPDATE runs SET want = want WHERE id = ?", (number,)',
        (f"{CLAIM}::test_a_reboot_interrupts_and_waits_for_the_user",),
    ),
    Mutant(
        "an interrupted foreground run goes on in the background",
        "core/jobs/claim.py",
        "if claim.in_foreground:",
        "if False:",
        (f"{CLAIM}::test_what_is_let_go_of_in_the_foreground_waits_for_its_user",),
    ),
    Mutant(
        "a changed chat template is used",
        "core/models.py",
        "    found = weights_digest(Path(request.path)), adapter, template\n",
        "    found = weights_digest(Path(request.path)), adapter, spec.chat_template_digest\n",
        ("tests/unit/test_hostile_models.py::test_a_chat_template_that_changed_while_its_run_waited_is_not_used",),
    ),
    Mutant(
        "a lost attempt has no end",
        "core/jobs/claim.py",
        '        _end_attempt(connection, number, "lost")\n',
        "",
        (f"{RULES}::test_every_attempt_has_an_end_or_the_living_owner",),
    ),
    Mutant(
        "a run that is done is resumed",
        "core/store/runs.py",
        '    if run.state is RunState.DONE:\n        raise UsageError(f"Run {number} is done."',
        '    if run.state is None:\n        raise UsageError(f"Run {number} is done."',
        (f"{RULES}::test_a_run_that_is_done_is_not_resumed",),
    ),
    Mutant(
        "SIGTERM is not heeded",
        "core/scorer.py",
        "        self._stop = True\n",
        "        self._stop = False\n",
        (f"{WARM}::test_sigterm_ends_an_idle_scorer_at_once",),
    ),
    Mutant(
        "two scorers on one device",
        "core/processes/scorers.py",
        "        if any(shares_device((device, _gpus_of(key)), row.place) for row in _rows(connection)):\n"
        "            return False\n",
        "",
        (f"{WARM}::test_a_device_is_registered_once",),
    ),
    Mutant(
        "rows of dead scorers block a device",
        "core/processes/scorers.py",
        "        _sweep(connection)\n        if any",
        "        if any",
        (f"{WARM}::test_rows_of_dead_processes_mean_nothing",),
    ),
    Mutant(
        "two runners",
        "core/processes/launcher.py",
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        (f"{RULES}::test_only_one_runner_holds_the_lock",),
    ),
    Mutant(
        "workers belong to the terminal",
        "core/processes/launcher.py",
        "start_new_session=True",
        "start_new_session=False",
        (f"{RULES}::test_a_detached_process_has_no_terminal_session_or_input_of_ours",),
    ),
    Mutant(
        "nobody is blamed for a death",
        "core/jobs/blame.py",
        "    if tries >= TRIES:\n",
        "    if tries > 10 * TRIES:\n",
        (f"{POISON}::test_a_response_that_ends_the_process_is_named_and_the_run_goes_on",),
    ),
)
