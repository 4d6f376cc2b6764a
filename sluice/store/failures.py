"""Classifies what fsspec, botocore, aiohttp and obstore raise, and words it as a `StoreError`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from types import MappingProxyType

from sluice.errors import (
    StoreError,
    StoreFaltered,
    StoreMissing,
    StoreOversized,
    StoreRefused,
    StoreSlow,
    StoreTimeout,
    plain_words,
    redacted,
)
from sluice.store.http_bodies import OversizedBody
from sluice.store.http_headers import asked_pause, named_region


class Kind(Enum):
    """What an exception says about the store."""

    MISSING_KEY = auto()
    MISSING_ROOT = auto()
    PAST_END = auto()  # the range begins behind the end of the value
    REFUSED = auto()
    TIMEOUT = auto()
    FALTERED = auto()  # it may pass
    SLOWED = auto()  # the store asks for fewer requests
    ELSEWHERE = auto()  # the bucket is in another region
    OVERSIZED = auto()
    FAILED = auto()


# S3's error codes (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html) and HTTP
# statuses, which botocore reports as codes where an answer has no body.
CODES = {
    **dict.fromkeys(("NoSuchKey", "NotFound", "404", "410", "BlobNotFound"), Kind.MISSING_KEY),
    **dict.fromkeys(("NoSuchBucket", "ContainerNotFound"), Kind.MISSING_ROOT),
    **dict.fromkeys(("InvalidRange", "416"), Kind.PAST_END),
    **dict.fromkeys(
        ("AccessDenied", "401", "403", "407", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        Kind.REFUSED,
    ),
    **dict.fromkeys(
        ("ExpiredToken", "InvalidToken", "RequestTimeTooSkewed", "AllAccessDisabled"), Kind.REFUSED
    ),
    # The bucket is in another region, and the library did not follow.
    **dict.fromkeys(("PermanentRedirect", "TemporaryRedirect", "Redirect"), Kind.ELSEWHERE),
    **dict.fromkeys(("AuthorizationHeaderMalformed", "301", "307", "308"), Kind.ELSEWHERE),
    **dict.fromkeys(("RequestTimeout", "408", "504", "524"), Kind.TIMEOUT),
    # The store is overloaded, not broken (codes of S3 and Azure).
    **dict.fromkeys(
        ("SlowDown", "ServerBusy", "TooManyRequests", "Throttling", "ThrottlingException"),
        Kind.SLOWED,
    ),
    **dict.fromkeys(("RequestLimitExceeded", "BandwidthLimitExceeded", "429"), Kind.SLOWED),
    **dict.fromkeys(("InternalError", "ServiceUnavailable"), Kind.FALTERED),
    # Statuses above 509 are those of a proxy whose origin is down.
    **dict.fromkeys(map(str, (500, 502, 503, 507, 509, *range(520, 524))), Kind.FALTERED),
}

# Names of exception classes; their libraries are not imported for the sake of an `isinstance`.
REFUSING_CLASSES = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "PermissionDeniedError",
        "UnauthenticatedError",
    }
)

# Bases of what aiohttp, botocore, requests and azure raise when connections or answers break off.
FALTERING_CLASSES = frozenset(
    {
        "BadHttpMessage",
        "ClientConnectionError",
        "ClientPayloadError",
        "ConnectionError",
        "HTTPClientError",
        "ServiceRequestError",
        "ServiceResponseError",
    }
)

# What aiohttp raises for endless redirects, and for those to no valid address: no retry helps.
LOST_CLASSES = frozenset({"TooManyRedirects", "InvalidURL"})
LEADS_NOWHERE = "its redirects lead nowhere"

S3_READ_ADVICE = (
    "The credentials need s3:GetObject on the objects, and s3:ListBucket on the bucket: "
    "without it S3 answers 403 for a key that does not exist."
)
S3_LIST_ADVICE = "Listing needs s3:ListBucket on the bucket."

# Advice where no permission is missing but the keys are wrong, by code or botocore's message.
CREDENTIALS_ADVICE = {
    "ExpiredToken": "The credentials have expired: renew them.",
    "InvalidToken": "The session token is not one of the store's: renew the credentials.",
    "InvalidAccessKeyId": "The store does not know the access key: look at key.",
    "SignatureDoesNotMatch": "The secret does not belong to the access key: look at secret.",
    "RequestTimeTooSkewed": "The clocks here and at the store differ by too much.",
    "Unable to locate credentials": "Give key and secret, or anon: true where everyone may read.",
}


# S3 answers errors with an XML document: these two parts of it say all (ErrorResponses.html).
_S3_CODE = re.compile(r"<Code>(\w+)</Code>")
_S3_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")


# What libraries put around a message of the system or of another library.
_SURROUNDINGS = re.compile(
    r"^Generic \w+ error: (Error performing \w+ \S+ in \S+ - )?"
    r"|^\[SSL: \w+\] | \(_ssl\.c:\d+\)$|^\w+Error: "
)


def s3_error(text: str) -> tuple[str | None, str | None]:
    """Code and message of S3's error document in `text`, where there are any."""
    code, message = _S3_CODE.search(text), _S3_MESSAGE.search(text)
    return code and code[1], message and message[1]


def causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what it was raised from, outermost first.

    Where botocore wraps an error of its HTTP library, that is only the context.
    """
    link: BaseException | None = error
    while link is not None:
        yield link
        wraps = type(link).__name__ == "HTTPClientError"
        link = link.__cause__ or (link.__context__ if wraps else None)


def kind_of(error: BaseException) -> Kind:
    """What `error` says about the store; the most telling exception of its chain decides.

    A code from the server outranks the Python type that a library derived from it: for both a
    missing key and a missing bucket, s3fs raises the same FileNotFoundError.
    """
    links = list(causes(error))
    if any(isinstance(link, OversizedBody) for link in links):
        return Kind.OVERSIZED
    if any(_leads_nowhere(link) for link in links):
        return Kind.FAILED
    for link in links:
        for code in _codes(link):
            if code in CODES:
                return CODES[code]
    kinds = [_kind_of_type(link) for link in links]
    return next((kind for kind in kinds if kind is not Kind.FAILED), Kind.FAILED)


def _leads_nowhere(error: BaseException) -> bool:
    return any(base.__name__ in LOST_CLASSES for base in type(error).__mro__)


def _codes(error: BaseException) -> Iterator[str]:
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        yield str(response.get("Error", {}).get("Code"))
        yield str(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    # aiohttp, azure and gcsfs, in this order; aiohttp's own `code` warns when it is touched.
    for attribute in ("status", "error_code", "status_code", "code"):
        value = getattr(error, attribute, None)
        if value is not None:
            yield str(value)
            return


def _kind_of_type(error: BaseException) -> Kind:
    match error:
        case PermissionError():
            return Kind.REFUSED
        case TimeoutError():
            return Kind.TIMEOUT
        case FileNotFoundError() | IsADirectoryError() | NotADirectoryError():
            return Kind.MISSING_KEY
        case OSError() if str(error).startswith("Forbidden"):  # gcsfs keeps no status of a 403
            return Kind.REFUSED
        case EOFError():
            return Kind.FALTERED
        case _:
            return _kind_of_class(type(error))


def _kind_of_class(cls: type[BaseException]) -> Kind:
    names = {base.__name__ for base in cls.__mro__}
    if names & REFUSING_CLASSES:
        return Kind.REFUSED
    if "Timeout" in cls.__name__:
        return Kind.TIMEOUT
    if "SSL" in cls.__name__ or "Certificate" in cls.__name__:
        return Kind.FAILED  # another try would meet the same certificate
    return Kind.FALTERED if names & FALTERING_CLASSES else Kind.FAILED


def reason_of(error: BaseException) -> str:
    """Why it failed, in few words for an operator: the server's own words where it gave some."""
    for link in causes(error):
        response = getattr(link, "response", None)
        if isinstance(response, dict) and response.get("Error"):
            answer = response["Error"]
            code = in_words(str(answer.get("Code")))
            return f"{code}: {answer.get('Message', '')}".rstrip(": .")
    links = list(causes(error))
    return _account(next(filter(_leads_nowhere, links), links[-1]))


def _account(error: BaseException) -> str:
    """What one exception says, without the name of its class."""
    status, message = getattr(error, "status", None), getattr(error, "message", None)
    names = {base.__name__ for base in type(error).__mro__}
    if names & {"PayloadEncodingError", "ClientPayloadError"}:
        return "its answer breaks off"
    if names & {"BadHttpMessage"}:
        return "its answer is not HTTP"
    if names & LOST_CLASSES:
        return LEADS_NOWHERE
    if isinstance(status, int) and isinstance(message, str):
        return f"status {status} {message}".strip()
    if "SSLError" in names:
        words = f"TLS: {_SURROUNDINGS.sub('', str(error))}"
    elif isinstance(error, OSError) and error.strerror:
        words = error.strerror if (error.errno or 0) <= 0 else os.strerror(error.errno or 0)
    elif isinstance(error, RecursionError):
        words = "its answer is nested too deeply"
    else:
        words = redacted(str(error)).strip().split("\n")[0][:300]
        words = plain_words(_SURROUNDINGS.sub("", words))
    words = _SURROUNDINGS.sub("", words).strip().rstrip(". ")
    return words or in_words(type(error).__name__)


def in_words(name: str) -> str:
    """The name of an error class in words (``ServerTimeoutError``: server timeout error).

    Other names, such as codes of S3, are returned as they are.
    """
    name, ending = re.subn(r"(Error|Exception)$", " error", name)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).strip().lower() if ending else name


def failure_of(
    error: BaseException, *, doing: str, advice: str = "", **facts: object
) -> StoreError:
    """The `StoreError` for what a library raised while `doing`; see `store_error`.

    With what the answer's headers say: after which pause to retry, or in which region to look.
    """
    kind = kind_of(error)
    pause = next(filter(_is_known, map(asked_pause, causes(error))), None)
    if kind is Kind.SLOWED or (kind is Kind.FALTERED and pause is not None):
        facts["retry_after"] = pause
        return store_error(Kind.SLOWED, reason_of(error), doing=doing, advice="", **facts)
    if kind is Kind.ELSEWHERE:
        region = next(filter(_is_known, map(named_region, causes(error))), None)
        advice = region_advice(region)
    return store_error(kind, reason_of(error), doing=doing, advice=advice, **facts)


def _is_known(found: object) -> bool:
    return found is not None


def region_advice(region: str | None) -> str:
    """What to write into an entry whose bucket lies in this region (None: in some other one)."""
    where = f"the region {region}" if region else "another region"
    name = region or "..."
    return (
        f"The bucket lies in {where}: write client_kwargs: {{region_name: {name}}} into "
        "storage_options, and an endpoint_url, if there is one, of that region."
    )


# What is raised for each kind, and how its message begins.
_RAISED: Mapping[Kind, tuple[type[StoreError], str]] = MappingProxyType(
    {
        Kind.REFUSED: (StoreRefused, "The store refused"),
        Kind.TIMEOUT: (StoreTimeout, "The store did not answer in time,"),
        Kind.MISSING_ROOT: (StoreMissing, "The bucket is not there,"),
        Kind.MISSING_KEY: (StoreMissing, "Nothing is there,"),
        Kind.SLOWED: (StoreSlow, "The store asks for a pause,"),
        Kind.OVERSIZED: (StoreOversized, "The store has more than it may,"),
        Kind.ELSEWHERE: (StoreError, "The store is elsewhere,"),
        Kind.FALTERED: (StoreFaltered, "The store failed for now,"),
        Kind.FAILED: (StoreError, "The store failed,"),
        Kind.PAST_END: (StoreError, "The store failed,"),
    }
)


def store_error(
    kind: Kind, reason: str, *, doing: str, advice: str = "", **facts: object
) -> StoreError:
    """The `StoreError` for a failure of this `kind` while `doing` (such as "reading x of y").

    `advice` is for refusals, unless the `reason` says that the keys themselves are wrong, and for
    buckets of another region.
    """
    raised, words = _RAISED[kind]
    if kind is Kind.REFUSED:
        advice = CREDENTIALS_ADVICE.get(reason.partition(":")[0], advice)
    elif kind is not Kind.ELSEWHERE:
        advice = ""
    return raised(f"{words} {doing} ({reason}). {advice}".rstrip(), **facts)


class S3Answer(Exception):
    """S3 answered with an error; `response` has the shape that botocore gives it."""

    def __init__(
        self, status: int, reason: str | None, headers: Mapping[str, str], body: bytes
    ) -> None:
        code, message = s3_error(body.decode(errors="replace"))
        self.status = status
        self.code = code or str(status)
        said = {"Code": self.code, "Message": message or reason or ""}
        about = {"HTTPStatusCode": status, "HTTPHeaders": dict(headers)}
        self.response = {"Error": said, "ResponseMetadata": about}
        super().__init__(f"{self.code}: {said['Message']}")
