# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Questions about one's own rights: they are posted like objects, answered, and never stored."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import User
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import Answer, SubresourceCall
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.rbac import Authorizer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import RequestInfo

_AUTHORIZATION = "authorization.k8s.io"
_AUTHENTICATION = "authentication.k8s.io"


def register_reviews(server: ApiServer, authorizer: Authorizer) -> None:
    """Let the server answer SelfSubjectAccessReview, SelfSubjectRulesReview and SelfSubjectReview."""

    def access(call: SubresourceCall) -> Answer:
        allowed = authorizer.allows(_user(call), _asked(call.body.get("spec") or {}))
        return _answered(call, {"allowed": allowed})

    def rules(call: SubresourceCall) -> Answer:
        namespace = str((call.body.get("spec") or {}).get("namespace") or "")
        found = authorizer.rules_for(_user(call), namespace)
        status = {
            "resourceRules": [_only(rule, ("verbs", "apiGroups", "resources", "resourceNames")) for rule in found],
            "nonResourceRules": [
                _only(rule, ("verbs", "nonResourceURLs")) for rule in found if rule.get("nonResourceURLs")
            ],
            "incomplete": False,
        }
        return _answered(call, status)

    def whoami(call: SubresourceCall) -> Answer:
        user = _user(call)
        return _answered(call, {"userInfo": {"username": user.name, "groups": list(user.groups)}})

    server.register_create(_AUTHORIZATION, "selfsubjectaccessreviews", access)
    server.register_create(_AUTHORIZATION, "selfsubjectrulesreviews", rules)
    server.register_create(_AUTHENTICATION, "selfsubjectreviews", whoami)


def _user(call: SubresourceCall) -> User:
    return User(call.options.user, call.options.groups)


def _asked(spec: t.Mapping[str, t.Any]) -> RequestInfo:
    path = spec.get("nonResourceAttributes")
    if path:
        return RequestInfo(str(path.get("verb", "")), str(path.get("path", "")))
    wanted = spec.get("resourceAttributes") or {}

    def part(key: str) -> str:
        return str(wanted.get(key) or "")

    return RequestInfo(
        part("verb"),
        "",
        group=part("group"),
        version=part("version"),
        resource=part("resource"),
        subresource=part("subresource"),
        namespace=part("namespace"),
        name=part("name"),
    )


def _only(rule: Object, keys: t.Sequence[str]) -> Object:
    return {key: rule[key] for key in keys if key in rule}


def _answered(call: SubresourceCall, status: Object) -> Answer:
    resource = call.kind.resource
    metadata = call.body.get("metadata") or {}
    body = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    if "spec" in call.body:
        body["spec"] = call.body["spec"]
    return Answer(201, {**body, "status": status})
