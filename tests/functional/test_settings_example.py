"""What a person copies to begin with is complete, and works."""

from __future__ import annotations

import json
import re
from pathlib import Path

from video_jobs.settings.app import Settings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = json.loads((ROOT / "local.settings.example.json").read_text())["Values"]
MODULES = ("app.py", "api_keys.py", "sign_in.py", "webhooks.py")
SOURCE = "".join((ROOT / "video_jobs" / "settings" / name).read_text() for name in MODULES)


def test_the_example_names_every_setting() -> None:
    named = set(
        re.findall(
            r'"((?:AZURE_OPENAI|VIDEO|RETENTION|OPENAI_COMPAT_API|WEBHOOK|OWNER|SIGN)_[A-Z_]+)"', SOURCE
        )
    )
    assert len(named) > 5
    assert named <= set(EXAMPLE)
    assert EXAMPLE["FUNCTIONS_WORKER_RUNTIME"] == "python"


def test_the_example_works_as_it_is() -> None:
    settings = Settings.from_environment(EXAMPLE)
    assert "127.0.0.1:10000/devstoreaccount1" in (settings.storage.connection_string or "")
    assert [backend.name for backend in settings.backends] == ["default"]


def test_the_settings_page_explains_every_setting() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    for name in EXAMPLE:
        assert f"`{name}`" in page, name
