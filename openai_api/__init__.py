"""HTTP `v1/videos`: jobs through the OpenAI videos protocol, for tools that use it."""
