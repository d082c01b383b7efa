"""Words in a prompt that decide how its job ends.

================== =====================================================================================
word               what happens
================== =====================================================================================
rejected-prompt    create answers 400 `content_policy_violation` at once; no job comes into being
blocked-input      the job fails early: `input_moderation` (azure-sora), `moderation_blocked` (openai-videos)
blocked-output     the job fails at its end: `output_moderation`, or `moderation_blocked`
internal-failure   the job fails half-way with `internal_error`
fewer-outputs      the job succeeds with one generation fewer than it was asked for
no-outputs         the job succeeds with an empty list of generations
================== =====================================================================================

A job of openai-videos has one output, so the last two both leave it completed with content that is 404.
"""

import re
from enum import Enum


class Ending(Enum):
    """How a job will end. The value is the word that asks for it."""

    #: As asked.
    SUCCESS = ""
    #: Refused before there is a job.
    REJECTED = "rejected-prompt"
    #: Fails at once when work begins.
    BLOCKED_INPUT = "blocked-input"
    #: Fails after all the work.
    BLOCKED_OUTPUT = "blocked-output"
    #: Fails in the middle.
    BROKEN = "internal-failure"
    #: One generation is missing.
    FEWER = "fewer-outputs"
    #: All generations are missing.
    NONE = "no-outputs"


def ending_of(prompt: str) -> Ending:
    """The ending for the first such word in `prompt`."""
    for word in re.findall(r"[\w-]+", prompt.lower()):
        for ending in Ending:
            if ending.value == word:
                return ending
    return Ending.SUCCESS
