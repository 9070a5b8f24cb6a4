"""The description of the server's routes is true: schemathesis asks all of them, rightly and wrongly, and believes it.

No answer is a 5xx, none is of a status, a type or a form that the description does not know.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from allaprima.bundle.untrained import untrained
from allaprima.models.conditions import CONDITIONS
from allaprima.runtime.engine import Engine
from allaprima.server.app import serving
from allaprima.server.guard import Rules
from tests.unit.test_images_api import Running

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
positive_data_acceptance = pytest.importorskip("schemathesis.checks").positive_data_acceptance
GenerationMode = pytest.importorskip("schemathesis.generation").GenerationMode
EXAMPLES = 12  # of each route and mode; many of them are painted
schemathesis.serializer.alias("audio/wav", "application/octet-stream")  # bytes, of any kind


@pytest.fixture(scope="module")
def described() -> Iterator[Any]:
    """What a real server on loopback says of itself."""
    text = CONDITIONS.get("text").Config().fitted(["a red bird", "a blue fish"])
    label = CONDITIONS.get("label").Config(classes=["bird", "fish"], optional=True)
    several = CONDITIONS.get("several").Config(parts=[text, label, CONDITIONS.get("sound").Config()])
    bundle = untrained(16, latent_dim=8, generator={"name": "conv", "width": 8, "max_width": 16}, condition=several)
    running = Running(serving({"several": Engine(bundle)}, Rules.for_binding("127.0.0.1")))
    yield schemathesis.openapi.from_url(f"{running.address}api/openapi.json")
    running.stop()


@schemathesis.hook
def map_query(context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Endless streams and long searches are asked for briefly."""
    path = context.operation.path
    if path == "/api/stream.mjpeg":
        return {**(query or {}), "frames": 1}
    if path == "/api/photo":
        return {**(query or {}), "seconds": 0.1}
    return query


def test_every_route_is_as_described(described: Any, subtests: Any) -> None:
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 12
    for operation in operations:
        for mode in GenerationMode:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
            def ask(case: Any) -> None:
                # that a request is of the right form does not mean that this generator knows the class or can hear the sound
                case.call_and_validate(excluded_checks=[positive_data_acceptance])

            with subtests.test(route=operation.label, mode=mode.value), contextlib.suppress(Unsatisfiable):
                ask()  # what takes nothing cannot be asked wrongly


def test_what_one_route_answers_leads_to_the_next(described: Any) -> None:
    """By the links of the description: a format of a film is named in a film's address, a model's name in the model's."""
    links = {
        link["operationId"]
        for methods in described.raw_schema["paths"].values()
        for operation in methods.values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    }
    assert links == {"film", "of_openai"}
    followed: set[str] = set()

    class Walk(described.as_state_machine()):  # type: ignore[misc, name-defined]
        def after_call(self, response: Any, case: Any) -> None:
            if case.operation.definition.raw.get("operationId") in links:
                followed.add(case.operation.label)

        def validate_response(self, response: Any, case: Any, **kwargs: Any) -> None:
            case.validate_response(response, excluded_checks=[positive_data_acceptance])

    Walk.run(
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=4,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
    )
    assert followed == {"POST /api/film", "GET /v1/models/{name}"}
