"""Refusals, and the forms in which the services send them."""

from collections.abc import Mapping

from .answers import Answer, json_answer
from .settings import Settings
from .world import LimitReachedError

WRONG_KEY = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key "
    "for an active subscription and use a correct regional API endpoint for your resource."
)


class ApiError(Exception):
    """A request that is answered with an error.

    status: int
    code, type, param: str | None, as in the error's body
    inner: the `inner_error` of a content filter
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        type: str | None = "invalid_request_error",
        param: str | None = None,
        inner: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.type = type
        self.param = param
        self.inner = inner
        self.headers = headers

    @property
    def fields(self) -> dict[str, object]:
        """The error's own fields; those that have no value are null."""
        named: dict[str, object] = {
            "message": str(self),
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return {**named, "inner_error": dict(self.inner)} if self.inner else named


def flat(error: ApiError) -> Answer:
    """The error as the whole body, without fields that have no value, as azure-sora sends it."""
    return json_answer({k: v for k, v in error.fields.items() if v is not None}, error.status, error.headers)


def wrapped(error: ApiError, settings: Settings) -> Answer:
    """The error under `error`, or in one of the shapes that other servers of this dialect have."""
    if settings.detail_errors:
        return json_answer({"detail": str(error)}, error.status, error.headers)
    fields = error.fields
    if settings.error_code_int:
        fields["code"] = error.status
    return json_answer({"error": fields}, error.status, error.headers)


def gateway(status: int, message: str) -> Answer:
    """The answer of Azure's gateway, if the service behind it has not seen the request."""
    return json_answer({"error": {"code": str(status), "message": message}}, status)


def not_found() -> Answer:
    """A path, or an api-version, that the gateway does not know."""
    return gateway(404, "Resource not found")


def retired(model: str) -> ApiError:
    """The model has been removed for ever."""
    return ApiError(
        410, f"The model '{model}' has been retired and can no longer be used.", code="ModelRetired"
    )


def no_deployment(model: str) -> ApiError:
    """The model's name is not one that was deployed."""
    return ApiError(
        404,
        f"The API deployment '{model}' for this resource does not exist. If you created the deployment "
        "within the last 5 minutes, please wait a moment and try again.",
        code="DeploymentNotFound",
        type="video_generation_user_error",
        param="model",
    )


def filtered() -> ApiError:
    """The content filter refused the prompt at once."""
    return ApiError(
        400,
        "The request was refused by the content filter. Please change the prompt and try again.",
        code="content_policy_violation",
        type="video_generation_user_error",
        param="prompt",
        inner={"code": "ResponsibleAIPolicyViolation", "error_details": {}},
    )


def still_running() -> ApiError:
    """A job that has not ended can't be deleted."""
    return ApiError(409, "It can be deleted when it has completed or failed, not before.", code="conflict")


def limited(limit: LimitReachedError) -> ApiError:
    """The create comes too early."""
    headers = {} if limit.retry_after is None else {"retry-after": str(limit.retry_after)}
    return ApiError(429, str(limit), code="429", type="too_many_requests", headers=headers)
