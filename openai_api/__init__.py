"""HTTP `v1/videos`: the OpenAI videos protocol in front of jobs, for every tool that speaks it."""
