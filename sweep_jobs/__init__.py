"""Timers: they repair what a crash left half done, read the poison queues, and end what is kept long enough."""
