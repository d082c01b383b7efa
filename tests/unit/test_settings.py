"""The settings: wrong ones are found at start, and every message says how to mend them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.settings_examples import ACCOUNT_KEY, CONNECTION, KEY, problems_of, read
from tests.unit.examples import moderately_many
from video_jobs.domain.errors import InvalidSettings
from video_jobs.domain.gate import GateLimits
from video_jobs.domain.quota import OwnerLimits
from video_jobs.settings.app import Settings
from video_jobs.settings.storage import client_id_in

BACKEND: dict[str, Any] = {
    "name": "own",
    "dialect": "openai-videos",
    "base_url": "https://videos.example.test/v1",
    "model": "wan",
}
WITHOUT: None = None


def listed(**changes: Any) -> str:
    entry = {**BACKEND, **changes}
    return json.dumps([{k: v for k, v in entry.items() if v is not None}])


# --- what is right -------------------------------------------------------------------------------


def test_the_usual_settings_give_one_azure_sora_backend():
    settings = read()
    (backend,) = settings.backends
    assert (backend.name, backend.dialect, backend.model) == ("default", "azure-sora", "sora")
    assert backend.base_url == "https://clips.openai.azure.com/openai/v1/video/generations"
    assert settings.api_keys == {"default": KEY}
    assert backend.retention == timedelta(hours=24)
    assert settings.storage.connection_string == CONNECTION
    assert (settings.create_deadline, settings.fetch_deadline) == (90, 480)


def test_the_other_dialect_has_another_path():
    (backend,) = read(VIDEO_DIALECT="openai-videos").backends
    assert backend.base_url == "https://clips.openai.azure.com/openai/v1"


@pytest.mark.parametrize("ending", ["/", "/openai", "/openai/", "/openai/v1", "/openai/v1/"])
def test_an_endpoint_may_be_pasted_as_the_portal_shows_it(ending: str):
    assert read(AZURE_OPENAI_ENDPOINT=f" https://clips.openai.azure.com{ending} ").backends == read().backends


@pytest.mark.parametrize("key", [WITHOUT, ""])
def test_without_a_key_an_identity_signs_in(key: str | None):
    settings = read(AZURE_OPENAI_API_KEY=key)
    (backend,) = settings.backends
    assert (settings.api_keys, backend.api_key_setting, backend.auth) == ({}, None, None)
    assert backend.token_scope == "https://cognitiveservices.azure.com/.default"


def test_the_identitys_scope_is_a_setting():
    (backend,) = read(AZURE_OPENAI_TOKEN_SCOPE="https://ai.azure.com/.default").backends
    assert backend.token_scope == "https://ai.azure.com/.default"


@pytest.mark.parametrize(
    "text", ["UseDevelopmentStorage=true", "usedevelopmentstorage=true;", " UseDevelopmentStorage=true "]
)
def test_the_emulators_short_form_is_spelled_out(text: str):
    connection = read(AzureWebJobsStorage=text).storage.connection_string
    assert connection is not None
    for service, port in (("Blob", 10000), ("Queue", 10001), ("Table", 10002)):
        assert f"{service}Endpoint=http://127.0.0.1:{port}/devstoreaccount1;" in connection


def test_an_account_name_gives_the_endpoints_of_an_identity():
    storage = read(
        AzureWebJobsStorage=WITHOUT,
        AzureWebJobsStorage__accountName="clips",
        AzureWebJobsStorage__clientId="7",
        AzureWebJobsStorage__queueServiceUri="https://queues.example.test",
    ).storage
    assert storage.connection_string is None
    assert storage.client_id == "7"
    assert storage.blob_endpoint == "https://clips.blob.core.windows.net"
    assert storage.queue_endpoint == "https://queues.example.test"
    assert storage.table_endpoint == "https://clips.table.core.windows.net"


def test_more_backends_come_behind_the_default_one():
    settings = read(VIDEO_BACKENDS=listed(api_key_setting="OWN_KEY"), OWN_KEY=" other ")
    assert [backend.name for backend in settings.backends] == ["default", "own"]
    assert settings.api_keys == {"default": KEY, "own": "other"}
    own = settings.backend("own")
    assert own is not None
    assert own.base_url == "https://videos.example.test/v1"
    assert settings.backend("nobody") is None


def test_listed_backends_do_without_the_default_one():
    settings = read(AZURE_OPENAI_ENDPOINT=WITHOUT, AZURE_OPENAI_DEPLOYMENT=WITHOUT, VIDEO_BACKENDS=listed())
    assert [backend.name for backend in settings.backends] == ["own"]


@pytest.mark.parametrize(
    ("name", "text", "seconds"),
    [
        ("VIDEO_CREATE_DEADLINE_SECONDS", "5", 5),
        ("VIDEO_CREATE_DEADLINE_SECONDS", "200", 200),
        ("VIDEO_CREATE_DEADLINE_SECONDS", " 30.5 ", 30.5),
        ("VIDEO_CREATE_DEADLINE_SECONDS", "", 90),
        ("VIDEO_FETCH_DEADLINE_SECONDS", "10", 10),
        ("VIDEO_FETCH_DEADLINE_SECONDS", "500", 500),
        ("VIDEO_FETCH_DEADLINE_SECONDS", " ", 480),
    ],
)
def test_the_deadlines_are_settings(name: str, text: str, seconds: float):
    settings = read(**{name: text})
    assert seconds == (settings.create_deadline if "CREATE" in name else settings.fetch_deadline)


@pytest.mark.parametrize(
    ("dialect", "text", "running"),
    [
        ("azure-sora", WITHOUT, 2),
        ("azure-sora", "", 2),
        ("azure-sora", "0", None),
        ("azure-sora", " 5 ", 5),
        ("openai-videos", WITHOUT, None),
        ("openai-videos", "0", None),
        ("openai-videos", "1000", 1000),
    ],
)
def test_the_jobs_that_a_backend_works_on_at_once_are_a_setting(
    dialect: str, text: str | None, running: int | None
):
    (backend,) = read(VIDEO_DIALECT=dialect, VIDEO_RUNNING_LIMIT=text).backends
    assert backend.gate_limits == GateLimits(running=running, creates_per_minute=None)


@pytest.mark.parametrize(("text", "creates"), [(WITHOUT, None), (" ", None), ("0", None), ("2", 2)])
def test_the_creates_that_a_backend_takes_in_a_minute_are_a_setting(text: str | None, creates: int | None):
    (backend,) = read(VIDEO_CREATES_PER_MINUTE=text).backends
    assert backend.gate_limits == GateLimits(running=2, creates_per_minute=creates)


def test_each_listed_backend_has_limits_of_its_own():
    other = {**BACKEND, "name": "other", "running_limit": 3, "creates_per_minute": 2}
    settings = read(VIDEO_BACKENDS=json.dumps([BACKEND, other]), VIDEO_RUNNING_LIMIT="7")
    limits = {backend.name: backend.gate_limits for backend in settings.backends}
    assert limits == {"default": GateLimits(7), "own": GateLimits(), "other": GateLimits(3, 2)}


@pytest.mark.parametrize(
    ("text", "days"),
    [(WITHOUT, None), ("", None), ("0", None), ("30", 30), ("0.5", 0.5), ("0.042", 0.042), ("36500", 36_500)],
)
def test_jobs_are_kept_for_ever_unless_a_number_of_days_is_set(text: str | None, days: float | None):
    kept = read(RETENTION_DAYS=text).retention
    assert kept == (None if days is None else timedelta(days=days))


# --- what is missing or wrong --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "names", "mend"),
    [
        ({"AzureWebJobsStorage": WITHOUT}, "AzureWebJobsStorage", "connection string"),
        ({"AzureWebJobsStorage": " "}, "AzureWebJobsStorage", "UseDevelopmentStorage=true"),
        (
            {"AzureWebJobsStorage": WITHOUT, "AzureWebJobsStorage__blobServiceUri": "https://b.example.test"},
            "AzureWebJobsStorage__accountName",
            "__tableServiceUri",
        ),
        (
            {
                "AzureWebJobsStorage": WITHOUT,
                "AzureWebJobsStorage__accountName": "clips",
                "AzureWebJobsStorage__queueServiceUri": "http://127.0.0.1:10001/clips",
            },
            "AzureWebJobsStorage__queueServiceUri",
            "https://",
        ),
        ({"AzureWebJobsStorage": "clips"}, "AzureWebJobsStorage", "AccountName and AccountKey"),
        ({"AzureWebJobsStorage": f"AccountKey={ACCOUNT_KEY}"}, "AzureWebJobsStorage", "'Access keys'"),
        ({"AzureWebJobsStorage": "UseDevelopmentStorage=false"}, "AzureWebJobsStorage", "Azurite"),
        (
            {"AzureWebJobsStorage": f"BlobEndpoint=https://b.example.test;SharedAccessSignature=sig={KEY}"},
            "AzureWebJobsStorage",
            "__accountName",
        ),
        ({"AZURE_OPENAI_ENDPOINT": WITHOUT}, "AZURE_OPENAI_ENDPOINT", "or VIDEO_BACKENDS"),
        ({"AZURE_OPENAI_ENDPOINT": "clips.openai.azure.com"}, "AZURE_OPENAI_ENDPOINT", "like https://"),
        ({"AZURE_OPENAI_ENDPOINT": "https://"}, "AZURE_OPENAI_ENDPOINT", "like https://"),
        ({"AZURE_OPENAI_ENDPOINT": "ftp://clips.example.test"}, "AZURE_OPENAI_ENDPOINT", "like https://"),
        ({"AZURE_OPENAI_ENDPOINT": f"https://me:{KEY}@example.test"}, "AZURE_OPENAI_ENDPOINT", "no query"),
        (
            {"AZURE_OPENAI_ENDPOINT": f"https://example.test?api-key={KEY}"},
            "AZURE_OPENAI_ENDPOINT",
            "no query",
        ),
        ({"AZURE_OPENAI_ENDPOINT": f"https://example.test#{KEY}"}, "AZURE_OPENAI_ENDPOINT", "no query"),
        ({"AZURE_OPENAI_ENDPOINT": "https://[::1"}, "AZURE_OPENAI_ENDPOINT", "it must be a full URL"),
        ({"AZURE_OPENAI_DEPLOYMENT": WITHOUT}, "AZURE_OPENAI_DEPLOYMENT", "name the deployment"),
        ({"AZURE_OPENAI_DEPLOYMENT": "  "}, "AZURE_OPENAI_DEPLOYMENT", "name the deployment"),
        ({"AZURE_OPENAI_DEPLOYMENT": "d" * 201}, "AZURE_OPENAI_DEPLOYMENT", "at most 200 characters"),
        ({"VIDEO_DIALECT": "sora"}, "VIDEO_DIALECT", "'azure-sora' or 'openai-videos'"),
        ({"AZURE_OPENAI_API_KEY": "  "}, "AZURE_OPENAI_API_KEY", "Set it, or leave"),
        ({"AZURE_OPENAI_API_KEY": f"{KEY}\n{KEY}"}, "AZURE_OPENAI_API_KEY", "Copy it again"),
        ({"AZURE_OPENAI_API_KEY": f"“{KEY}”"}, "AZURE_OPENAI_API_KEY", "Copy it again"),
        ({"VIDEO_CREATE_DEADLINE_SECONDS": "4.9"}, "VIDEO_CREATE_DEADLINE_SECONDS", "seconds, from 5 to 200"),
        ({"VIDEO_CREATE_DEADLINE_SECONDS": "201"}, "VIDEO_CREATE_DEADLINE_SECONDS", "seconds, from 5 to 200"),
        ({"VIDEO_CREATE_DEADLINE_SECONDS": "soon"}, "VIDEO_CREATE_DEADLINE_SECONDS", "a number of seconds"),
        ({"VIDEO_CREATE_DEADLINE_SECONDS": "nan"}, "VIDEO_CREATE_DEADLINE_SECONDS", "a number of seconds"),
        ({"VIDEO_FETCH_DEADLINE_SECONDS": "9"}, "VIDEO_FETCH_DEADLINE_SECONDS", "seconds, from 10 to 500"),
        ({"VIDEO_FETCH_DEADLINE_SECONDS": "501"}, "VIDEO_FETCH_DEADLINE_SECONDS", "seconds, from 10 to 500"),
        ({"VIDEO_FETCH_DEADLINE_SECONDS": "inf"}, "VIDEO_FETCH_DEADLINE_SECONDS", "a number of seconds"),
        ({"VIDEO_FETCH_DEADLINE_SECONDS": "8 min"}, "VIDEO_FETCH_DEADLINE_SECONDS", "a number of seconds"),
        ({"VIDEO_RUNNING_LIMIT": "two"}, "VIDEO_RUNNING_LIMIT", "valid integer"),
        ({"VIDEO_RUNNING_LIMIT": "-1"}, "VIDEO_RUNNING_LIMIT", "greater than or equal to 0"),
        ({"VIDEO_RUNNING_LIMIT": "1001"}, "VIDEO_RUNNING_LIMIT", "less than or equal to 1000"),
        ({"VIDEO_RUNNING_LIMIT": "1.5"}, "VIDEO_RUNNING_LIMIT", "valid integer"),
        ({"VIDEO_CREATES_PER_MINUTE": KEY}, "VIDEO_CREATES_PER_MINUTE", "valid integer"),
        ({"VIDEO_CREATES_PER_MINUTE": "-2"}, "VIDEO_CREATES_PER_MINUTE", "greater than or equal to 0"),
        ({"RETENTION_DAYS": "-1"}, "RETENTION_DAYS", "days, or 0 for ever, from 0 to 36500"),
        ({"RETENTION_DAYS": "36501"}, "RETENTION_DAYS", "days, or 0 for ever, from 0 to 36500"),
        ({"RETENTION_DAYS": "1e-9"}, "RETENTION_DAYS", "0.042 (an hour) or more, or 0"),
        ({"RETENTION_DAYS": "nan"}, "RETENTION_DAYS", "a number of days"),
        ({"RETENTION_DAYS": "a month"}, "RETENTION_DAYS", "a number of days"),
        ({"VIDEO_BACKENDS": "own"}, "VIDEO_BACKENDS", "It is a list of objects"),
        ({"VIDEO_BACKENDS": f'[{{"api_key": "{KEY}"'}, "VIDEO_BACKENDS", "It is a list of objects"),
        ({"VIDEO_BACKENDS": "[]"}, "VIDEO_BACKENDS", "docs/reference/settings.md"),
        ({"VIDEO_BACKENDS": "{}"}, "VIDEO_BACKENDS", "docs/reference/settings.md"),
        ({"VIDEO_BACKENDS": f'["{KEY}"]'}, "VIDEO_BACKENDS", "docs/reference/settings.md"),
        ({"VIDEO_BACKENDS": listed(name="default")}, "VIDEO_BACKENDS", "its own name"),
        ({"VIDEO_BACKENDS": listed(api_key_setting="OWN_KEY")}, "OWN_KEY", "Set it, or leave"),
        (
            {"VIDEO_BACKENDS": listed(api_key_setting="OWN_KEY"), "OWN_KEY": f"{KEY}\0"},
            "OWN_KEY",
            "Copy it again",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_how_to_mend_it(changes: dict[str, str | None], names: str, mend: str):
    (problem,) = problems_of(**changes)
    assert names in problem
    assert mend in problem
    assert KEY not in problem
    assert ACCOUNT_KEY not in problem


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", WITHOUT),
        ("name", "Own"),
        ("name", "own backend"),
        ("name", "o" * 41),
        ("dialect", WITHOUT),
        ("dialect", "sora"),
        ("base_url", WITHOUT),
        ("base_url", "videos.example.test"),
        ("base_url", f"https://me:{KEY}@example.test"),
        ("base_url", f"https://example.test/v1?key={KEY}"),
        ("model", WITHOUT),
        ("model", ""),
        ("auth", KEY),
        ("body", "form"),
        ("sizes", ["1280*720"]),
        ("sizes", ["0x720"]),
        ("sizes", "1280x720"),
        ("seconds", [0]),
        ("seconds", [3601]),
        ("seconds", "some"),
        ("retention_hours", 0),
        ("retention_hours", 24 * 365 + 1),
        ("retention_hours", "a day"),
        ("running_limit", -1),
        ("running_limit", 1001),
        ("running_limit", "two"),
        ("creates_per_minute", -1),
        ("creates_per_minute", 0.5),
        ("api_key", KEY),
        ("api_key_setting", 7),
        ("token_scope", 7),
    ],
)
def test_a_wrong_field_of_a_backend_is_named_with_its_place(field: str, value: Any):
    problems = problems_of(VIDEO_BACKENDS=listed(**{field: value}))
    assert all(problem.startswith(f"VIDEO_BACKENDS[0].{field}: ") for problem in problems)
    assert KEY not in " ".join(problems)


def test_the_place_of_a_wrong_backend_is_counted():
    both = json.dumps([BACKEND, {**BACKEND, "name": "other", "model": ""}])
    assert problems_of(VIDEO_BACKENDS=both)[0].startswith("VIDEO_BACKENDS[1].model: ")


def test_every_problem_is_told_at_once():
    with pytest.raises(InvalidSettings) as error:
        Settings.from_environment({"VIDEO_CREATE_DEADLINE_SECONDS": "x", "VIDEO_FETCH_DEADLINE_SECONDS": "y"})
    for name in ("AzureWebJobsStorage", "AZURE_OPENAI_ENDPOINT", "VIDEO_CREATE_", "VIDEO_FETCH_"):
        assert any(name in problem for problem in error.value.problems)
    assert len(error.value.problems) == 4


def test_a_key_in_place_of_its_settings_name_is_not_repeated():
    assert KEY not in " ".join(problems_of(VIDEO_BACKENDS=listed(api_key_setting=f"sk-{KEY}")))


def test_deeply_nested_backends_are_a_problem_like_others():
    assert problems_of(VIDEO_BACKENDS="[" * 100_000)


@pytest.mark.parametrize(
    "changes",
    [
        {"AZURE_OPENAI_ENDPOINT": "https://clips.example.test:port"},
        {"AZURE_OPENAI_ENDPOINT": "https://clips.example.test:99999"},
        {"AZURE_OPENAI_ENDPOINT": "https://clips example.test"},
        {"AzureWebJobsStorage": "AccountName=;AccountKey="},
        {"AzureWebJobsStorage": WITHOUT, "AzureWebJobsStorage__accountName": "not a name"},
        {
            "AzureWebJobsStorage": WITHOUT,
            "AzureWebJobsStorage__blobServiceUri": "blobs",
            "AzureWebJobsStorage__queueServiceUri": "queues",
            "AzureWebJobsStorage__tableServiceUri": "tables",
        },
    ],
)
def test_an_address_that_can_not_be_one_is_found_at_start(changes: dict[str, str | None]):
    assert problems_of(**changes)


# --- secrets -------------------------------------------------------------------------------------


def test_settings_that_are_printed_show_no_secret():
    settings = read(VIDEO_BACKENDS=listed(api_key_setting="OWN_KEY"), OWN_KEY="other-secret")
    for shown in (repr(settings), str(settings), f"{settings.storage} {settings.backends}"):
        assert KEY not in shown
        assert ACCOUNT_KEY not in shown
        assert "other-secret" not in shown


@moderately_many
@given(
    st.dictionaries(
        st.sampled_from(
            ["name", "dialect", "base_url", "model", "auth", "body", "sizes", "seconds", "token", "key"]
        ),
        st.sampled_from(
            [KEY, [KEY], {"key": KEY}, f"https://:{KEY}@", f"https://example.test?{KEY}", 7, None]
        ),
        min_size=1,
    )
)
def test_whatever_is_wrong_with_a_backend_no_value_of_it_is_repeated(entry: dict[str, Any]):
    assert KEY not in " ".join(problems_of(VIDEO_BACKENDS=json.dumps([entry])))


# --- owners --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "platforms", "trusted"),
    [
        (None, None, False),
        ("off", "True", False),
        ("", "True", False),
        ("easy-auth", None, False),
        ("easy-auth", "False", False),
        ("easy-auth", "1", False),
        ("easy-auth", "True", True),
        (" Easy-Auth ", "true", True),
    ],
)
def test_the_platforms_word_is_taken_only_where_both_settings_say_so(ours, platforms, trusted):
    sign_in = read(SIGN_IN=ours, WEBSITE_AUTH_ENABLED=platforms).sign_in
    assert sign_in.is_trusted is trusted
    assert (sign_in.problem is not None) == (sign_in.wanted and not trusted)


def test_owners_have_no_limits_unless_they_are_set():
    assert read().owner_limits == OwnerLimits()
    assert read(OWNER_JOBS_AT_ONCE="0", OWNER_JOBS_PER_DAY=" ").owner_limits.none
    limits = read(OWNER_JOBS_AT_ONCE="1000", OWNER_JOBS_PER_DAY=" 20 ").owner_limits
    assert limits == OwnerLimits(1000, 20)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIGN_IN", "yes"),
        *(("OWNER_JOBS_AT_ONCE", value) for value in ("-1", "1.5", "many", "1001", "1e3", "٣")),
        ("OWNER_JOBS_PER_DAY", "10000000"),
    ],
)
def test_a_wrong_setting_for_owners_is_named(name, value):
    [problem] = problems_of(**{name: value})
    assert problem.startswith(f"{name} ")


PASTED = "AccountName=clips;AccountKey=a2V5;EndpointSuffix=core.windows.net"


@pytest.mark.parametrize(
    "name", ["AZURE_OPENAI_API_KEY", "OPENAI_COMPAT_API_KEYS", "AzureWebJobsStorage", "WEBHOOK_SECRETS"]
)
@pytest.mark.parametrize(
    "value",
    [
        "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/key)",
        "alice:@microsoft.keyvault(VaultName=v;SecretName=key)",
        "@Microsoft.AppConfiguration(Endpoint=https://c.azconfig.io; Key=key)",
    ],
)
def test_a_reference_that_azure_did_not_resolve_is_no_setting(name: str, value: str):
    problems = problems_of(**{name: value})
    assert f"{name} is a reference that Azure could not resolve" in problems[0]
    assert "vault.azure.net" not in " ".join(problems)


def test_a_key_of_a_listed_backend_that_was_not_resolved_is_refused_too():
    backends = json.dumps(
        [
            {
                "name": "o",
                "dialect": "openai-videos",
                "base_url": "https://o.example/v1",
                "model": "m",
                "api_key_setting": "OTHER_KEY",
            }
        ]
    )
    told = problems_of(VIDEO_BACKENDS=backends, OTHER_KEY="@Microsoft.KeyVault(SecretUri=x)")
    assert any(each.startswith("OTHER_KEY is a reference") for each in told)


@pytest.mark.parametrize(
    "text", [f'"{PASTED}"', PASTED.replace("clips", "'clips'"), PASTED.replace(";", "; "), PASTED + ' ;"']
)
def test_a_connection_string_with_quotes_or_white_space_in_it_is_refused(text: str):
    assert any("quotes or white space" in each for each in problems_of(AzureWebJobsStorage=text))


@pytest.mark.parametrize(
    ("endpoint", "named", "account"),
    [
        ("https://clips.blob.core.windows.net", None, "clips"),
        ("https://clips.z12.blob.storage.azure.net", None, "clips"),
        ("https://clips.blob.core.usgovcloudapi.net", None, "clips"),
        ("https://videos.example.com", "clips", "clips"),
        ("https://other.blob.core.windows.net", "clips", "clips"),
    ],
)
def test_signed_urls_bear_the_accounts_name_whatever_the_endpoint(
    endpoint: str, named: str | None, account: str
):
    uris = {f"AzureWebJobsStorage__{each}ServiceUri": endpoint for each in ("blob", "queue", "table")}
    settings = read(AzureWebJobsStorage=None, AzureWebJobsStorage__accountName=named, **uris)
    assert settings.storage.account == account


def test_a_domain_of_ones_own_needs_the_accounts_name():
    uris = {
        f"AzureWebJobsStorage__{each}ServiceUri": "https://v.example.com"
        for each in ("blob", "queue", "table")
    }
    told = problems_of(AzureWebJobsStorage=None, **uris)
    assert any("__accountName is not set" in each for each in told)


def test_one_identity_is_named_for_storage_and_video_apis():
    both = {"AzureWebJobsStorage__clientId": "storage", "AZURE_CLIENT_ID": "app"}
    assert client_id_in(both) == "storage"
    assert client_id_in({"AZURE_CLIENT_ID": " app "}) == "app"
    assert client_id_in({}) is None


# --- as people paste them ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_DEPLOYMENT", "AZURE_OPENAI_API_KEY", "AzureWebJobsStorage"],
)
@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [
        ('"', '"', "quotes"),
        ("'", "'", "quotes"),
        ("\u201c", "\u201d", "quotes"),
        ("\ufeff", "", "invisible"),
        ("", "\u200b", "invisible"),
    ],
)
def test_quotes_and_invisible_characters_around_a_setting_are_named(
    name: str, begin: str, end: str, words: str
):
    usual = {
        "AZURE_OPENAI_ENDPOINT": "https://clips.openai.azure.com",
        "AZURE_OPENAI_DEPLOYMENT": "sora",
        "AZURE_OPENAI_API_KEY": KEY,
        "AzureWebJobsStorage": CONNECTION,
    }
    told = problems_of(**{name: f"{begin}{usual[name]}{end}"})
    assert any(each.startswith(name) and words in each for each in told)
    assert not any(KEY in each or ACCOUNT_KEY in each for each in told)


@pytest.mark.parametrize(
    "key",
    [
        "Bearer abcdefgh",
        "api-key: abcdefgh",
        "abcd efgh",
        "AZURE_OPENAI_API_KEY=abcdefgh",
        "https://api.example.com/?key=abcdefgh",
    ],
)
def test_a_key_with_something_around_it_is_refused(key: str):
    [problem] = problems_of(AZURE_OPENAI_API_KEY=key)
    assert "AZURE_OPENAI_API_KEY" in problem
    assert "abcd" not in problem


@pytest.mark.parametrize(
    "name",
    ["FAL_KEY", "REPLICATE_API_TOKEN", "XAI_API_KEY", "GEMINI_API_KEY", "ARK_API_KEY", "FAL_VIDEO_MODEL"],
)
def test_a_reference_in_a_providers_setting_is_refused(name: str):
    [problem] = problems_of(**{name: "@Microsoft.KeyVault(SecretUri=https://v.example.test/secrets/a)"})
    assert problem.startswith(f"{name} is a reference that Azure could not resolve")


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://clips.openai.azure.com/openai/deployments/sora",
        "https://clips.services.ai.azure.com/api/projects/clips",
        "https://clips.openai.azure.com/OpenAI/V1",
        "http://clips.openai.azure.com",
    ],
)
def test_an_azure_resource_with_a_path_or_without_https_is_refused(endpoint: str):
    [problem] = problems_of(AZURE_OPENAI_ENDPOINT=endpoint)
    assert "https and its host alone" in problem


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://Clips.OpenAI.Azure.com",
        "HTTPS://clips.openai.azure.com/",
        "https://clips.openai.azure.com:443",
    ],
)
def test_a_resource_is_the_same_however_its_host_is_written(endpoint: str):
    """Claims are kept by the address: in another spelling, two jobs could have taken up one video."""
    (backend,) = read(AZURE_OPENAI_ENDPOINT=endpoint).backends
    assert backend.base_url == "https://clips.openai.azure.com/openai/v1/video/generations"


def test_a_gateway_of_ones_own_may_have_a_path():
    (backend,) = read(AZURE_OPENAI_ENDPOINT="https://gateway.azure-api.net/clips/").backends
    assert backend.base_url == "https://gateway.azure-api.net/clips/openai/v1/video/generations"


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ("DefaultEndpointsProtocol=ftp", "DefaultEndpointsProtocol"),
        ("EndpointSuffix=https://core.windows.net", "EndpointSuffix"),
        ("BlobEndpoint=nonsense", "BlobEndpoint"),
        ("TableEndpoint=https://clips.table.core.windows.net/?sv=1&sig=secret", "TableEndpoint"),
        ("QueueEndpoint=https://evil\\@clips", "QueueEndpoint"),
    ],
)
def test_a_part_of_a_connection_string_that_names_no_place_is_refused_by_its_name(part: str, named: str):
    account = f"AccountName=clips;AccountKey={ACCOUNT_KEY}"
    [problem] = problems_of(AzureWebJobsStorage=f"{account};{part}")
    assert f"its part {named}" in problem
    assert "secret" not in problem


@pytest.mark.parametrize("blobs", ["https://cdn.example.test", "https://clips.z12.blob.storage.azure.net/"])
def test_a_connection_string_may_name_a_domain_of_ones_own_or_of_a_dns_zone(blobs: str):
    text = f"AccountName=clips;AccountKey={ACCOUNT_KEY};BlobEndpoint={blobs}"
    assert read(AzureWebJobsStorage=text).storage.connection_string == text


@pytest.mark.parametrize(
    "name",
    ["VIDEO_CREATE_DEADLINE_SECONDS", "RETENTION_DAYS", "VIDEO_MAX_BYTES", "OWNER_JOBS_AT_ONCE"],
)
def test_a_key_in_the_place_of_a_number_is_not_repeated(name: str):
    [problem] = problems_of(**{name: KEY})
    assert problem.startswith(f"{name} is no number")
    assert KEY not in problem


@pytest.mark.parametrize(
    "endpoint", ["https://https://clips.openai.azure.com", "https://clips.openai.azure.com,", "https://a_b;c"]
)
def test_an_endpoint_whose_host_is_none_is_refused(endpoint: str):
    [problem] = problems_of(AZURE_OPENAI_ENDPOINT=endpoint)
    assert problem.startswith("AZURE_OPENAI_ENDPOINT")


def test_a_token_scope_is_stripped_and_is_one_word():
    scope = "https://cognitiveservices.azure.com/.default"
    assert read(AZURE_OPENAI_TOKEN_SCOPE=f" {scope}\r\n").backends[0].token_scope == scope
    [problem] = problems_of(AZURE_OPENAI_TOKEN_SCOPE=f"{scope} openid")
    assert problem.startswith("AZURE_OPENAI_TOKEN_SCOPE: it must be one scope")


def test_a_backend_that_says_a_name_twice_is_refused():
    twice = listed().replace('"model": "wan"', '"model": "wan", "model": "other"')
    [problem] = problems_of(AZURE_OPENAI_ENDPOINT=None, VIDEO_BACKENDS=twice)
    assert "the name 'model' stands twice" in problem
