"""The description of the REST API, OpenAPI 3.0; the server has it at /openapi.json."""

from __future__ import annotations

from typing import Any

from serving.json_size import MOST_ROWS

_ERRORS = {
    400: "a wrong request; `error` says what is wrong",
    401: "the server asks for a token, and the request has none or another",
    404: "no such model or version",
    413: "the body is larger than the server allows",
    429: "too many requests are in the server, or in the queue of the signature",
    501: "not implemented",
    503: "the version is being replaced or the server stops",
    504: "the request was not answered in time",
}
_ANY_ROWS: dict[str, Any] = {"type": "array", "items": {}, "minItems": 1, "maxItems": MOST_ROWS}
_SIGNATURE = {"type": "string", "description": "by default `serving_default`"}
_TEXT: dict[str, Any] = {
    "description": "a text, or other bytes as base64",
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"b64": {"type": "string", "format": "byte"}},
            "required": ["b64"],
            "additionalProperties": False,
        },
    ],
}
_EXAMPLE: dict[str, Any] = {
    "type": "object",
    "description": "the features of a tf.Example",
    "additionalProperties": {
        "anyOf": [
            *_TEXT["anyOf"],
            {"type": "number"},
            {"type": "boolean"},
            {"type": "array", "items": {}},
        ]
    },
}
_SCHEMAS: dict[str, Any] = {
    "Error": {
        "type": "object",
        "properties": {"error": {"type": "string"}},
        "required": ["error"],
        "additionalProperties": False,
    },
    "PredictRequest": {
        "description": "rows in `instances`, or columns in `inputs`",
        "oneOf": [
            {
                "type": "object",
                "properties": {"signature_name": _SIGNATURE, "instances": _ANY_ROWS},
                "required": ["instances"],
                "not": {"required": ["inputs"]},
            },
            {
                "type": "object",
                "properties": {"signature_name": _SIGNATURE, "inputs": {}},
                "required": ["inputs"],
                "not": {"required": ["instances"]},
            },
        ],
        "example": {"instances": ["A moving film."]},
    },
    "PredictResponse": {
        "oneOf": [
            {
                "type": "object",
                "properties": {"predictions": {"type": "array", "items": {}}},
                "required": ["predictions"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"outputs": {}},
                "required": ["outputs"],
                "additionalProperties": False,
            },
        ]
    },
    "ClassifyRequest": {
        "type": "object",
        "properties": {
            "signature_name": _SIGNATURE,
            "context": _EXAMPLE,
            "examples": {**_ANY_ROWS, "items": _EXAMPLE},
        },
        "required": ["examples"],
        "example": {"signature_name": "classify", "examples": [{"text": "A moving film."}]},
    },
    "ClassifyResponse": {
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "items": {
                    "type": "array",
                    "description": "label and score of each class",
                    "items": {"type": "array", "items": {}, "minItems": 2, "maxItems": 2},
                },
            }
        },
        "required": ["results"],
        "additionalProperties": False,
    },
    "Status": {
        "type": "object",
        "properties": {
            "model_version_status": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "version": {"type": "string"},
                        "state": {
                            "type": "string",
                            "enum": ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"],
                        },
                        "status": {
                            "type": "object",
                            "properties": {
                                "error_code": {"type": "string"},
                                "error_message": {"type": "string"},
                            },
                        },
                    },
                    "required": ["version", "state", "status"],
                },
            }
        },
        "required": ["model_version_status"],
    },
    "Metadata": {
        "type": "object",
        "properties": {
            "model_spec": {"type": "object"},
            "metadata": {"type": "object", "required": ["signature_def"]},
        },
        "required": ["model_spec", "metadata"],
    },
}


def description(model: str, version: int | None, has_token: bool = False) -> dict[str, Any]:
    """The REST API of a server as an OpenAPI document.

    Args:
        model: name of the served model.
        version: the served version, as an example; None: none yet.
        has_token: whether clients must send a token.
    """
    of_model = _parameter("model", {"type": "string", "enum": [model]})
    numbered = _parameter("version", {"type": "string", "pattern": "^[0-9]{1,19}$"})
    numbered["example"] = str(version or 1)
    paths: dict[str, Any] = {
        "/healthz": _path("get", "Whether the process lives", {"type": "object"}, is_open=True),
        "/readyz": _path(
            "get", "Whether requests are answered", {"type": "object"}, (503,), is_open=True
        ),
        "/metrics": _path("get", "Metrics in Prometheus's format", None),
        "/openapi.json": _path("get", "This description", {"type": "object"}),
    }
    for place, parameters in (
        ("/v1/models/{model}", [of_model]),
        ("/v1/models/{model}/versions/{version}", [of_model, numbered]),
    ):
        for end, summary, schema in (
            ("", "States of the versions", "Status"),
            ("/metadata", "Signatures", "Metadata"),
        ):
            item = _path("get", summary, _reference(schema), (400, 404, 429, 503, 504))
            paths[place + end] = {"parameters": parameters, **item}
        for verb, summary in (("Predict", "Any signature"), ("Classify", "Classes and scores")):
            errors = (400, 404, 413, 429, 501, 503, 504)
            item = _path("post", summary, _reference(f"{verb}Response"), errors)
            item["post"]["requestBody"] = _content(_reference(f"{verb}Request"), required=True)
            paths[f"{place}:{verb.lower()}"] = {"parameters": parameters, **item}
    components: dict[str, Any] = {"schemas": _SCHEMAS}
    document: dict[str, Any] = {
        "openapi": "3.0.3",
        "info": {"title": f"Model {model}: TensorFlow Serving's REST API", "version": "1"},
        "paths": paths,
        "components": components,
    }
    if has_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
    return document


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _content(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}, **more}


def _path(
    method: str,
    summary: str,
    schema: dict[str, Any] | None,
    errors: tuple[int, ...] = (),
    is_open: bool = False,
) -> dict[str, Any]:
    """A path with one method; `schema` None: an answer in plain text."""
    answer = _content(schema) if schema else {"content": {"text/plain": {}}}
    responses: dict[str, Any] = {"200": {"description": "the answer", **answer}}
    for status in (*errors, *(() if is_open else (401,))):
        said = schema if is_open and schema else _reference("Error")
        responses[str(status)] = {"description": _ERRORS[status], **_content(said)}
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if is_open:
        operation["security"] = []
    return {method: operation}
