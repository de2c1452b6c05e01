# SPDX-License-Identifier: Apache-2.0
"""The server keeps to its own OpenAPI description, whatever is sent."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


@pytest.fixture(scope="module")
def open_served(serving):
    """One server for all examples; the models that they load are made for tests, whatever their name."""
    with serving.Served(volume_bytes=64 << 20, one_volume_bytes=32 << 20, sessions=100_000) as made:
        yield made


@pytest.fixture(scope="module")
def description(open_served):
    """The server's own description of itself, with the token that it asks for."""
    answer = open_served.client.get("/v1/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operations(description):
    return [(method, path) for path, item in description["paths"].items() for method in item]


def test_every_route_of_the_protocol_is_described_with_its_errors(description):
    described = {f"{method.upper()} {path}" for method, path in operations(description)}
    assert described == {
        "GET /protocol",
        "GET /v1/capabilities",
        "POST /v1/sessions",
        "POST /v1/sessions/{session}/heartbeat",
        "DELETE /v1/sessions/{session}",
        "GET /v1/models",
        "POST /v1/models/load",
        "POST /v1/models/unload",
        "GET /v1/volumes",
        "POST /v1/volumes",
        "GET /v1/volumes/{volume}",
        "DELETE /v1/volumes/{volume}",
        "PUT /v1/volumes/{volume}/data",
        "GET /v1/jobs",
        "POST /v1/jobs",
        "GET /v1/jobs/{job}",
        "POST /v1/jobs/{job}/cancel",
        "DELETE /v1/jobs/{job}",
        "GET /v1/jobs/{job}/result",
        "GET /v1/jobs/{job}/events",
        "POST /v1/exports",
        "POST /v1/shutdown",
    }
    for path, item in description["paths"].items():
        for operation in item.values():
            assert path == "/protocol" or "401" in operation["responses"]


def test_whatever_is_sent_the_answer_is_as_described(open_served, serving, description):
    schema = schemathesis.openapi.from_dict(description)
    headers = {**serving.HEADERS, "UniBiomed-Session": open_served.session}
    finished = open_served.submit()
    open_served.wait(finished)
    real = {"session": open_served.session, "volume": open_served.volume, "job": finished}
    asked = 0

    def examine(operation):
        @hypothesis.settings(
            max_examples=12, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
        )
        @hypothesis.given(case=operation.as_strategy(), known=hypothesis.strategies.booleans())
        def examples(case, known):
            nonlocal asked
            asked += 1
            if known and not (operation.method == "delete" and "session" in operation.path):
                case.path_parameters = {name: real[name] for name in case.path_parameters or {}}
            response = case.call(base_url=open_served.url, headers=headers)
            case.validate_response(response, checks=CHECKS)

        examples()

    for result in schema.get_all_operations():
        examine(result.ok())
    assert asked > 150
    assert open_served.client.get("/v1/jobs").status_code == 200
