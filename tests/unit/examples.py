"""How many examples a property is tried on."""

from hypothesis import settings

#: No deadline: the machines that run this differ in speed, and a promise holds on a slow one too.
moderately_many = settings(deadline=None, max_examples=40, database=None)
