"""Timers: they repair jobs after a crash, read the poison queues, and delete jobs when their retention is over."""
