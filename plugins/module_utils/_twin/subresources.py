# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Requests to subresources: who answers them, and what is said where there is none."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.builtin import decode
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import (
    Answer,
    SubresourceCall,
    SubresourceHandler,
    WriteOptions,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.patch import apply_patch
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.served import ServedKinds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    bad_request,
    method_not_allowed,
    not_found,
)


class Subresources:
    """The handlers of subresources such as pods/eviction; ``status`` and ``finalize`` need none."""

    def __init__(self, served: ServedKinds) -> None:
        self._served = served
        self._handlers: dict[tuple[str, str, str], SubresourceHandler] = {}

    def register(self, group: str, plural: str, subresource: str, handler: SubresourceHandler) -> None:
        """Let ``handler`` answer every request to that subresource."""
        self._handlers[(group, plural, subresource)] = handler

    def answer(
        self,
        verb: str,
        kind: Kind,
        subresource: str | None,
        name: str,
        namespace: str | None,
        body: t.Any,
        options: WriteOptions,
    ) -> Answer | None:
        """The handler's answer, or None when there is no handler. Raises ``Fault``."""
        handler = self._handlers.get((kind.resource.group, kind.resource.plural, subresource or ""))
        if handler is None:
            return None
        described = kind.subresource(subresource or "")
        if described is not None and verb not in described.verbs:
            raise method_not_allowed()
        if not isinstance(body, dict):
            raise bad_request("couldn't get version/kind; json parse error")
        if described is not None and body:
            own = Kind(Resource(described.group, described.version, "", described.kind, True), "")
            body, _unknown = decode(own, body, None)
        return handler(SubresourceCall(verb, kind, subresource or "", name, namespace, body, options))

    def patch(
        self,
        kind: Kind,
        subresource: str | None,
        name: str,
        namespace: str | None,
        patch: t.Any,
        media_type: str,
        options: WriteOptions,
    ) -> Answer | None:
        """A patch of a handled subresource is a get, the patch, and an update."""
        current = self.answer("get", kind, subresource, name, namespace, {}, options) if subresource else None
        if current is None:
            return None
        patched = apply_patch(kind, current.object, patch, media_type)
        return self.answer("update", kind, subresource, name, namespace, patched, options)

    def check(self, kind: Kind, subresource: str | None, name: str, verb: str = "get") -> None:
        """Raises the 404 ``Fault`` for a subresource the type does not have, 405 for a verb that it does not."""
        if not subresource:
            return
        described = kind.subresource(subresource)
        if described is not None:
            if verb not in described.verbs:
                raise method_not_allowed()
            return
        if kind.custom:
            # What is not enabled for a custom resource answers like a missing object (2).
            raise not_found(kind.resource, name)
        raise self._served.missing(kind.resource.group, kind.resource.version)
