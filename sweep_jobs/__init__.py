"""Timers and poison queues: repairs what a crash left half done, and ends what is kept long enough."""
