"""How many examples a property is tried on."""

from hypothesis import settings

moderately_many = settings(max_examples=40)
