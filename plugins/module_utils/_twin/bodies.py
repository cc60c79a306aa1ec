# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Request bodies: JSON, YAML or protobuf into plain data, with the duplicates that strict validation minds."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import JSON, Request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import IGNORE, STRICT
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.protobuf import (
    MEDIA_TYPE,
    UnknownMessage,
    decode_protobuf,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    bad_request,
    unsupported_media_type,
)

YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")
_UNKNOWN = "the body of the request was in an unknown format - accepted media types include: "


def decode_json(text: bytes) -> t.Any:
    """Plain data. Raises ``ValueError``."""
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> t.Any:
    raise ValueError(f"invalid value {name}")


def decode_yaml(text: bytes) -> t.Any:
    """Plain data. Raises ``ValueError``."""
    import yaml

    class Loader(yaml.SafeLoader):
        """YAML 1.2's idea of a date: a string."""

    Loader.yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        return yaml.load(text, Loader)  # a subclass of SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def body_of(request: Request, validation: str) -> tuple[t.Any, list[str]]:
    """The decoded body and warnings about duplicate fields.

    Raises a ``Fault``: 415 for a type the server does not take, 400 for a body that cannot be
    decoded or, with strict validation, has duplicate fields.
    """
    kind = request.media_type
    try:
        if kind in ("", JSON, "*/*"):
            if validation == IGNORE:
                return decode_json(request.body), []
            document, duplicates = _with_duplicates(request.body)
        elif kind in YAML_TYPES:
            document, duplicates = decode_yaml(request.body), []
        elif kind == MEDIA_TYPE:
            document, duplicates = decode_protobuf(request.body), []
        else:
            raise unsupported_media_type(_UNKNOWN + "application/json, application/yaml")
    except UnknownMessage as error:
        # The real server takes every built-in type so.
        raise unsupported_media_type(f"{_UNKNOWN}application/json, application/yaml (protobuf: {error})") from None
    except (ValueError, RecursionError) as error:
        raise bad_request(f"the object provided is unrecognized (must be of type Object): {error}") from None
    warnings = [f'duplicate field "{path}"' for path in duplicates]
    if warnings and validation == STRICT:
        raise bad_request("strict decoding error: " + ", ".join(warnings))
    return document, warnings


def _with_duplicates(text: bytes) -> tuple[t.Any, list[str]]:
    doubles: dict[int, list[str]] = {}
    kept: list[dict[str, t.Any]] = []

    def build(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
        built = dict(pairs)
        if len(built) != len(pairs):
            names = [name for name, _value in pairs]
            doubles[id(built)] = [name for name in built if names.count(name) > 1]
            kept.append(built)
        return built

    document = json.loads(text, object_pairs_hook=build, parse_constant=_no_constant)
    return document, _paths(document, doubles, "") if doubles else []


def _paths(node: t.Any, doubles: t.Mapping[int, list[str]], prefix: str) -> list[str]:
    found: list[str] = []
    if isinstance(node, dict):
        found += [prefix + name for name in doubles.get(id(node), ())]
        for key, value in node.items():
            found += _paths(value, doubles, f"{prefix}{key}.")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            found += _paths(value, doubles, f"{prefix.rstrip('.')}[{index}].")
    return found
