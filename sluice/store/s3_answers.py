"""Errors that S3 answers, as exceptions that read like botocore's."""

from __future__ import annotations

from collections.abc import Mapping

from sluice.store.failures import s3_error


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
