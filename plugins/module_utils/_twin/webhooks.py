# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Admission webhooks: whether the pods behind them answer.

The twin runs no webhook servers. One whose Service has a ready endpoint lets everything through unchanged;
one that cannot be reached refuses the request, or lets it pass with ``failurePolicy: Ignore``, as the real
server does (hazards.md B40). Webhooks with a URL, or with a Service that names another host, lie outside
the cluster and always answer; ``matchConditions`` are taken to be met. Requests about webhook
configurations themselves never go through webhooks.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NAMESPACES, SERVICES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Event, ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import ENDPOINT_SLICES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.selectors import selects
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault, bad_request, failure

_GROUP = "admissionregistration.k8s.io"
MUTATING = Resource(_GROUP, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", namespaced=False)
VALIDATING = Resource(
    _GROUP, "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", namespaced=False
)
_SERVICE_LABEL = "kubernetes.io/service-name"


class Webhooks:
    """Asked by the API server about each request that changes something, from ``start()`` on."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._hooks: tuple[Object, ...] = ()

    def start(self) -> None:
        """Call the webhooks there are, and those that come."""
        for resource in (MUTATING, VALIDATING):
            self._objects.subscribe(self._follow, resource)
        self._read()

    def _follow(self, _event: Event) -> None:
        self._read()

    def _read(self) -> None:
        # Mutating ones are called first; within each sort, by the name of the configuration.
        self._hooks = tuple(
            hook
            for resource in (MUTATING, VALIDATING)
            for configuration in self._objects.list(resource)
            for hook in configuration.get("webhooks") or ()
        )

    def check(
        self, operation: str, kind: Kind, obj: Object, old: Object | None, subresource: str | None, *, dry_run: bool
    ) -> None:
        """Let a request pass, or raise the ``Fault`` of the first webhook that cannot be reached.

        ``operation`` is CREATE, UPDATE or DELETE; for a deletion ``obj`` is what is to go.
        """
        if not self._hooks or kind.resource.group == _GROUP:
            return
        for hook in self._hooks:
            if self._concerns(hook, operation, kind, obj, old, subresource):
                self._call(hook, dry_run)

    def _concerns(
        self, hook: Object, operation: str, kind: Kind, obj: Object, old: Object | None, subresource: str | None
    ) -> bool:
        if not any(_rule_matches(rule, operation, kind.resource, subresource) for rule in hook.get("rules") or ()):
            return False
        if not any(selects(hook.get("objectSelector") or {}, _labels(thing)) for thing in (obj, old) if thing):
            return False
        selector = hook.get("namespaceSelector") or {}
        if kind.resource == NAMESPACES:
            return selects(selector, _labels(obj))
        if not kind.resource.namespaced:
            return True
        home = self._objects.get(NAMESPACES, None, str(obj["metadata"].get("namespace") or ""))
        return home is None or selects(selector, _labels(home))

    def _call(self, hook: Object, dry_run: bool) -> None:
        if dry_run and hook.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise bad_request(f'admission webhook "{hook["name"]}" does not support dry run')
        service = (hook.get("clientConfig") or {}).get("service")
        if service is None:
            return
        trouble = self._trouble(str(service["namespace"]), str(service["name"]))
        if not trouble or hook.get("failurePolicy") == "Ignore":
            return
        raise unreachable(hook, service, trouble)

    def _trouble(self, namespace: str, name: str) -> str:
        service = self._objects.get(SERVICES, namespace, name)
        if service is None:
            return f'service "{name}" not found'
        if (service.get("spec") or {}).get("type") == "ExternalName":
            return ""
        for each in self._objects.list(ENDPOINT_SLICES, namespace):
            if _labels(each).get(_SERVICE_LABEL) != name:
                continue
            for endpoint in each.get("endpoints") or ():
                # A missing condition counts as ready.
                if (endpoint.get("conditions") or {}).get("ready", True):
                    return ""
        return f'no endpoints available for service "{name}"'


def unreachable(hook: Object, service: Object, trouble: str) -> Fault:
    """The answer to a request whose webhook did not answer."""
    path = str(service.get("path") or "").strip("/")
    url = f"https://{service['name']}.{service['namespace']}.svc:{service.get('port', 443)}/{path}"
    url += f"?timeout={hook.get('timeoutSeconds', 10)}s"
    words = f'failed calling webhook "{hook["name"]}": failed to call webhook: Post "{url}": {trouble}'
    return failure(500, f"Internal error occurred: {words}", "InternalError", {"causes": [{"message": words}]})


def _rule_matches(rule: Object, operation: str, resource: Resource, subresource: str | None) -> bool:
    return (
        _names(rule.get("operations"), operation)
        and _names(rule.get("apiGroups"), resource.group)
        and _names(rule.get("apiVersions"), resource.version)
        and rule.get("scope", "*") in ("*", "Namespaced" if resource.namespaced else "Cluster")
        and any(_is_resource(str(entry), resource.plural, subresource) for entry in rule.get("resources") or ())
    )


def _names(wanted: t.Sequence[str] | None, value: str) -> bool:
    return any(entry in ("*", value) for entry in wanted or ())


def _is_resource(entry: str, plural: str, subresource: str | None) -> bool:
    """``pods``, ``pods/*``, ``*/status``, ``*`` (all but subresources) or ``*/*``."""
    wanted, slash, below = entry.partition("/")
    if wanted not in ("*", plural):
        return False
    if not slash:
        return not subresource
    # "pods/*" is about every subresource, "*/*" about the resources themselves as well.
    return below == (subresource or "") or (below == "*" and (bool(subresource) or wanted == "*"))


def _labels(thing: Object) -> dict[str, str]:
    return (thing.get("metadata") or {}).get("labels") or {}
