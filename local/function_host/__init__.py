"""Runs a function app (Python, v2 programming model) where Core Tools are not at hand.

It knows HTTP, queue and timer triggers and treats them as the Azure Functions host does; anything else
is refused at start. Where ``func start`` is available, that is the real thing and does all of this.
"""
