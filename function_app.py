"""The app's table of contents."""

from __future__ import annotations

import azure.functions as func

import backend_api.blueprint
import fetch_video.blueprint
import job_api.blueprint
import poll_job.blueprint
import submit_job.blueprint
import sweep_jobs.blueprint
from video_jobs.logs import quieten_libraries

quieten_libraries()

app = func.FunctionApp()
app.register_functions(submit_job.blueprint.blueprint)
app.register_functions(poll_job.blueprint.blueprint)
app.register_functions(fetch_video.blueprint.blueprint)
app.register_functions(job_api.blueprint.blueprint)
app.register_functions(sweep_jobs.blueprint.blueprint)
app.register_functions(backend_api.blueprint.blueprint)
