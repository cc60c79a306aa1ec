# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Questions about rights and identities: the review types, which are answered and never stored."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import (
    SERVICE_ACCOUNT,
    Tokens,
    User,
    user_with,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.deletion import format_time
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import Answer, SubresourceCall
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.rbac import Authorizer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import RequestInfo
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Cause, invalid, not_found

_AUTHORIZATION = "authorization.k8s.io"
_AUTHENTICATION = "authentication.k8s.io"
_SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", True)
_TOKEN_LIFE = timedelta(hours=1)


def register_reviews(api: ApiServer, authorizer: Authorizer, tokens: Tokens) -> None:
    """Let the API server answer the review types and ``serviceaccounts/token``."""

    def asker(call: SubresourceCall) -> User:
        return User(call.options.user, call.options.groups)

    def subject(call: SubresourceCall) -> User:
        spec = call.body.get("spec") or {}
        return User(spec.get("user") or "", tuple(spec.get("groups") or ()))

    def access(who: t.Callable[[SubresourceCall], User]) -> t.Callable[[SubresourceCall], Answer]:
        return lambda call: _answered(call, _access(authorizer, who(call), call))

    for plural, who in (
        ("selfsubjectaccessreviews", asker),
        ("subjectaccessreviews", subject),
        ("localsubjectaccessreviews", subject),
    ):
        api.register_create(_AUTHORIZATION, plural, access(who))
    api.register_create(
        _AUTHORIZATION,
        "selfsubjectrulesreviews",
        lambda call: _answered(call, _rules(authorizer, asker(call), call)),
    )
    api.register_create(
        _AUTHENTICATION,
        "selfsubjectreviews",
        lambda call: _answered(call, {"userInfo": _user_info(asker(call))}),
    )
    api.register_create(_AUTHENTICATION, "tokenreviews", lambda call: _answered(call, _token_review(tokens, call)))
    api.register_subresource("serviceaccounts", "token", lambda call: _new_token(api, tokens, call))


def _answered(call: SubresourceCall, status: Object) -> Answer:
    resource = call.kind.resource
    body: Object = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
    if "spec" in call.body:
        body["spec"] = call.body["spec"]
    body["status"] = status
    return Answer(201, body)


def _access(authorizer: Authorizer, user: User, call: SubresourceCall) -> Object:
    spec = call.body.get("spec") or {}
    wanted, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (wanted is None) == (path is None):
        message = 'Invalid value: "": exactly one of nonResourceAttributes or resourceAttributes must be specified'
        cause = Cause("FieldValueInvalid", message, "spec.resourceAttributes")
        raise invalid(call.kind.resource.kind, _AUTHORIZATION, "", [cause])
    if path is not None:
        info = RequestInfo(path.get("verb", ""), path.get("path", ""))
    else:
        attributes = wanted or {}
        info = RequestInfo(
            attributes.get("verb", ""),
            "",
            attributes.get("group", ""),
            attributes.get("version", ""),
            attributes.get("resource", ""),
            attributes.get("subresource", ""),
            attributes.get("namespace", ""),
            attributes.get("name", ""),
        )
    return {"allowed": authorizer.allows(user, info)}


def _rules(authorizer: Authorizer, user: User, call: SubresourceCall) -> Object:
    namespace = (call.body.get("spec") or {}).get("namespace") or ""
    rules = authorizer.rules_for(user, namespace)
    return {
        "incomplete": False,
        "resourceRules": [rule for rule in rules if rule.get("resources")],
        "nonResourceRules": [rule for rule in rules if rule.get("nonResourceURLs")],
    }


def _user_info(user: User) -> Object:
    return {"username": user.name, "groups": list(user.groups)}


def _token_review(tokens: Tokens, call: SubresourceCall) -> Object:
    user = tokens.find((call.body.get("spec") or {}).get("token") or "")
    if user is None:
        return {"error": "invalid bearer token", "user": {}}
    return {"authenticated": True, "user": _user_info(user)}


def _new_token(api: ApiServer, tokens: Tokens, call: SubresourceCall) -> Answer:
    """TokenRequest: an opaque token for the service account, good while this process lives."""
    if api.objects.get(_SERVICE_ACCOUNTS, call.namespace, call.name) is None:
        raise not_found(_SERVICE_ACCOUNTS, call.name)
    name = f"{SERVICE_ACCOUNT}{call.namespace}:{call.name}"
    token = tokens.issue(name, user_with(name).groups)
    body: Object = {
        "kind": "TokenRequest",
        "apiVersion": f"{_AUTHENTICATION}/v1",
        "metadata": {"name": call.name, "namespace": call.namespace},
        "spec": call.body.get("spec") or {},
        "status": {"token": token, "expirationTimestamp": format_time(api.clock.now() + _TOKEN_LIFE)},
    }
    return Answer(201, body)
