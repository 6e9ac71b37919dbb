"""The gateway's own answers for Envoy: a mapper for each status that it may answer on its own."""

from http import HTTPStatus
from typing import Any

from dana.platform.gateway.answers import ANSWERS, MEDIA_TYPE, RETRY_AFTER_SECONDS, Answer

Config = dict[str, Any]


def local_replies() -> Config:
    """Return all mappers."""
    return {"mappers": [_mapper(answer) for answer in ANSWERS]}


def _mapper(answer: Answer) -> Config:
    is_about_tokens = answer.status is HTTPStatus.UNAUTHORIZED
    body = {
        "type": answer.type,
        "title": answer.title,
        "status": "%RESPONSE_CODE%",
        "detail": "%LOCAL_REPLY_BODY%."
        if is_about_tokens
        else answer.detail,  # Envoy says which of the three
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
    comparison = {
        "op": "EQ",
        "value": {"default_value": answer.status.value, "runtime_key": f"reply_{answer.status.value}"},
    }
    mapper: Config = {
        "filter": {"status_code_filter": {"comparison": comparison}},
        "body_format_override": {"json_format": body, "content_type": MEDIA_TYPE},
    }
    if answer.may_be_repeated:
        header = {"key": "retry-after", "value": str(RETRY_AFTER_SECONDS)}
        mapper["headers_to_add"] = [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]
    return mapper
