"""Runs a function app (Python, v2 programming model) without Core Tools.

It knows HTTP, queue and timer triggers and handles them like the Azure Functions host. It refuses any other trigger at
start. If ``func start`` is available, it runs the real host, which does all of this.
"""
