"""Statuses from the table of errors."""

from __future__ import annotations

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo

from service.edge.grpc_errors import grpc_code, status_of
from service.errors import ERROR_TABLE, EmptyMask, QueueFull, error_for


@pytest.mark.parametrize("code", ERROR_TABLE)
def test_every_code_of_the_table_has_a_status(code: str) -> None:
    error = error_for(code, "what was wrong")
    status, info = status_of(error), ErrorInfo()
    assert grpc_code(error) is grpc.StatusCode[ERROR_TABLE[code].grpc_status]
    assert status.code == grpc_code(error).value[0]
    assert status.message == "what was wrong"
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == (code, "moebius")
    assert info.metadata["retryable"] == str(ERROR_TABLE[code].retryable).lower()
    assert info.metadata["http_status"] == str(ERROR_TABLE[code].http_status)


def test_when_to_retry_is_told_where_it_is_known() -> None:
    retry = RetryInfo()
    assert status_of(QueueFull("full", retry_after=2.5)).details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 2500
    assert len(status_of(EmptyMask("nothing")).details) == 1
