# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Role based access control, evaluated on the Role and ClusterRole objects in the store.

Good enough for a read-only or a narrowly allowed user: rules with verbs, groups, resources,
subresources, names and non-resource URLs; users, groups and service accounts as subjects;
ClusterRoles bound by RoleBindings. Aggregated ClusterRoles are not put together.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import (
    AUTHENTICATED,
    MASTERS,
    SERVICE_ACCOUNT,
    User,
    user_with,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import Request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import RequestInfo
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    Fault,
    forbidden,
    forbidden_path,
)

_GROUP = "rbac.authorization.k8s.io"
CLUSTER_ROLES = Resource(_GROUP, "v1", "clusterroles", "ClusterRole", False)
CLUSTER_ROLE_BINDINGS = Resource(_GROUP, "v1", "clusterrolebindings", "ClusterRoleBinding", False)
ROLES = Resource(_GROUP, "v1", "roles", "Role", True)
ROLE_BINDINGS = Resource(_GROUP, "v1", "rolebindings", "RoleBinding", True)

# What every cluster binds by default: the public paths for all, discovery and self-reviews for the authenticated.
_PUBLIC = ("/healthz", "/livez", "/readyz", "/version")
_DISCOVERY = ("/api", "/apis", "/openapi")
_SELF_REVIEWS = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")


class _Asked(t.NamedTuple):
    """A right that a request needed; ``resource`` with its subresource, as in a role."""

    user: str
    verb: str
    group: str
    resource: str
    namespace: str
    allowed: bool


class Authorizer:
    """``enabled`` False lets every authenticated user do everything."""

    def __init__(self, objects: ObjectStore, *, enabled: bool) -> None:
        self._objects = objects
        self.enabled = enabled
        self._asked: collections.Counter[_Asked] = collections.Counter()

    def allows(self, user: User, request: RequestInfo) -> bool:
        """Whether the user may make that request."""
        if MASTERS in user.groups or _under(request.path, _PUBLIC) and not request.is_resource:
            return True
        if AUTHENTICATED not in user.groups:
            return self.enabled and any(_covers(rule, request) for rule in self._rules(user, request.namespace))
        if not self.enabled:
            return True
        if request.is_resource:
            if request.resource in _SELF_REVIEWS and request.verb == "create":
                return True
        elif request.verb == "get" and _under(request.path, _DISCOVERY):
            return True
        return any(_covers(rule, request) for rule in self._rules(user, request.namespace))

    def check(self, user: User, request: RequestInfo) -> None:
        """Raises the 403 ``Fault`` of spec kubernetes-api-behaviour.md 1. What was asked for is counted."""
        allowed = self.allows(user, request)
        if request.is_resource:
            what = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
            self._asked[_Asked(user.name, request.verb, request.group, what, request.namespace, allowed)] += 1
        if not allowed:
            raise refusal(user, request)

    def asked(self) -> list[Object]:
        """The rights that requests have needed so far, whose, whether they were there, and how often."""
        return [{**asked._asdict(), "count": count} for asked, count in sorted(self._asked.items())]

    def forget(self) -> None:
        """Count from the beginning."""
        self._asked.clear()

    def impersonated(self, user: User, request: Request) -> User:
        """Who the request is made as: somebody else with ``Impersonate-*`` headers.

        Raises the 403 ``Fault`` when the user may not impersonate.
        """
        name = request.headers.get("impersonate-user", "")
        if not name:
            return user
        groups = tuple(each.strip() for each in request.headers.get("impersonate-group", "").split(",") if each.strip())
        kinds = [("users", name), *(("groups", group) for group in groups)]
        if name.startswith(SERVICE_ACCOUNT):
            kinds = [("serviceaccounts", name.rpartition(":")[2]), *kinds[1:]]
        for kind, wanted in kinds:
            self.check(user, RequestInfo("impersonate", "", "", "v1", kind, "", "", wanted))
        return user_with(name, groups)

    def rules_for(self, user: User, namespace: str) -> list[Object]:
        """The rules that hold for the user in a namespace (SelfSubjectRulesReview)."""
        if MASTERS in user.groups or not self.enabled:
            everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
            return [everything, {"nonResourceURLs": ["*"], "verbs": ["*"]}]
        return list(self._rules(user, namespace))

    def _rules(self, user: User, namespace: str) -> t.Iterator[Object]:
        for binding in self._objects.list(CLUSTER_ROLE_BINDINGS):
            if _binds(binding, user):
                yield from self._role_rules(binding, None)
        if not namespace:
            return
        for binding in self._objects.list(ROLE_BINDINGS, namespace):
            if _binds(binding, user):
                yield from self._role_rules(binding, namespace)

    def _role_rules(self, binding: Object, namespace: str | None) -> t.Iterable[Object]:
        reference = binding.get("roleRef") or {}
        name = reference.get("name", "")
        if reference.get("kind") == "Role" and namespace:
            role = self._objects.get(ROLES, namespace, name)
        else:
            role = self._objects.get(CLUSTER_ROLES, None, name)
        return (role or {}).get("rules") or []


def refusal(user: User, request: RequestInfo) -> Fault:
    """The 403 answer."""
    if not request.is_resource:
        return forbidden_path(f'User "{user.name}" cannot {request.verb} path "{request.path}"')
    what = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    where = f'in the namespace "{request.namespace}"' if request.namespace else "at the cluster scope"
    resource = Resource(request.group, request.version, request.resource, "", bool(request.namespace))
    return forbidden(
        resource,
        request.name,
        f'User "{user.name}" cannot {request.verb} resource "{what}" in API group "{request.group}" {where}',
    )


def _under(path: str, roots: t.Iterable[str]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)


def _binds(binding: Object, user: User) -> bool:
    home = (binding.get("metadata") or {}).get("namespace", "")
    for subject in binding.get("subjects") or []:
        kind, name = subject.get("kind"), subject.get("name")
        if kind == "User" and name == user.name:
            return True
        if kind == "Group" and name in user.groups:
            return True
        account = f"{SERVICE_ACCOUNT}{subject.get('namespace') or home}:{name}"
        if kind == "ServiceAccount" and account == user.name:
            return True
    return False


def _has(values: t.Iterable[str] | None, wanted: str) -> bool:
    return any(value in ("*", wanted) for value in values or ())


def _covers(rule: Object, request: RequestInfo) -> bool:
    if not _has(rule.get("verbs"), request.verb):
        return False
    if not request.is_resource:
        return any(
            url == request.path or url == "*" or (url.endswith("*") and request.path.startswith(url[:-1]))
            for url in rule.get("nonResourceURLs") or ()
        )
    wanted = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
    resources = rule.get("resources") or ()
    fits = _has(resources, wanted) or (bool(request.subresource) and f"*/{request.subresource}" in resources)
    names = rule.get("resourceNames") or ()
    named = not names or (request.name or request.selected) in names
    return _has(rule.get("apiGroups"), request.group) and fits and named
