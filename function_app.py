"""The app's table of contents."""

from __future__ import annotations

import azure.functions as func

import backend_api.blueprint
import contract_api.blueprint
import fetch_video.blueprint
import job_api.blueprint
import notify_client.blueprint
import openai_api.blueprint
import poll_job.blueprint
import submit_job.blueprint
import sweep_jobs.blueprint
import web.blueprint
from video_jobs.domain.logs import quieten_libraries

quieten_libraries()

_others = (
    submit_job.blueprint.blueprint,
    poll_job.blueprint.blueprint,
    fetch_video.blueprint.blueprint,
    notify_client.blueprint.blueprint,
    job_api.blueprint.blueprint,
    sweep_jobs.blueprint.blueprint,
    backend_api.blueprint.blueprint,
    openai_api.blueprint.blueprint,
    web.blueprint.blueprint,
)
blueprints = (*_others, contract_api.blueprint.blueprint_of(_others))

app = func.FunctionApp()
for blueprint in blueprints:
    app.register_functions(blueprint)
