"""Long walks through everything that can happen to the queue, beside a model of it in memory."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.jobs.queue_machine import Queue

TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=200, stateful_step_count=50, suppress_health_check=list(HealthCheck), database=None
)
