"""The doctor: checks everything that the app needs, and says what is right, what is wrong, and what to do.

It calls nothing that costs money. `python -m doctor --help` beside a deployment's settings.
"""
