"""A short walk through everything that can happen to the queue; the long one is in tests/torture."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.jobs.queue_machine import Queue

TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=50, stateful_step_count=30, suppress_health_check=list(HealthCheck))
