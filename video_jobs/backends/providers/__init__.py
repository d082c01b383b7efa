"""The providers whose API is "create a task, poll the task, fetch an address": one file each, found by dialect."""

from __future__ import annotations

from video_jobs.backends.providers import byteplus, fal, gemini, openrouter, replicate, runway, xai
from video_jobs.backends.task_api import TaskApi

TASK_APIS: dict[str, TaskApi] = {
    "openrouter": openrouter.API,
    "runway": runway.API,
    "replicate": replicate.API,
    "fal": fal.API,
    "xai": xai.API,
    "gemini": gemini.API,
    "byteplus": byteplus.API,
}
