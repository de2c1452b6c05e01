# SPDX-License-Identifier: Apache-2.0
"""Results as JSON and back, and the JSON Schema that both sides check against."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import jsonschema
from pydantic import TypeAdapter, ValidationError

from unibiomed.errors import InputError
from unibiomed.tasks.results import Result

SCHEMA_FILE = "result.schema.json"
SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def to_json(result: Result) -> dict[str, Any]:
    """``result`` as plain JSON values."""
    return _adapter().dump_python(result, mode="json")


def to_text(result: Result) -> str:
    """``result`` as JSON text, readable, with a line end."""
    return json.dumps(to_json(result), ensure_ascii=False, indent=1) + "\n"


def from_json(document: str | bytes | dict[str, Any]) -> Result:
    """The result that ``document`` holds; InputError with the place that is wrong when it is not one."""
    if isinstance(document, str | bytes):
        try:
            document = json.loads(document)
        except ValueError as error:
            raise InputError(f"This result is not JSON: {error}; give the report.json that UniBiomed wrote.") from error
    validate(document)
    try:
        return _adapter().validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"This is not a result of UniBiomed: {place}: {first['msg']}.") from error


def validate(document: Any) -> None:
    """InputError with the first violation of the published schema."""
    kind = document.get("type") if isinstance(document, dict) else None
    problem = jsonschema.exceptions.best_match(_validator(kind if isinstance(kind, str) else "").iter_errors(document))
    if problem is not None:
        place = "/".join(str(part) for part in problem.absolute_path) or "the document"
        said = problem.message if len(problem.message) < 200 else problem.message[:200] + " ..."
        raise InputError(f"This is not a result of UniBiomed: {place}: {said}.")


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of every result, made from the records themselves."""
    made = _adapter().json_schema(mode="serialization")
    return {"$schema": SCHEMA_DIALECT, "title": "UniBiomed result", **made}


def published_schema() -> dict[str, Any]:
    """The schema as it is shipped with the package; a test keeps it equal to ``schema()``."""
    return json.loads(files("unibiomed.tasks").joinpath(SCHEMA_FILE).read_text(encoding="utf-8"))


@cache
def _adapter() -> TypeAdapter[Any]:
    return TypeAdapter(Result)


@lru_cache(maxsize=16)
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    """For results of ``kind`` alone, so that an error names its own place; for any result when it is unknown."""
    whole = published_schema()
    own = whole["discriminator"]["mapping"].get(kind)
    if own is None:
        return jsonschema.Draft202012Validator(whole)
    return jsonschema.Draft202012Validator({"$ref": own, "$defs": whole["$defs"]})
