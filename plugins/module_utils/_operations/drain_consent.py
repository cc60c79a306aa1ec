# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What may be lost only with the user's consent, and how it is given (hazards.md B38, B40, B43, D11).

Volumes of a pod die with it (emptyDir), or stay behind on a node that its successor may not come to
(hostPath). Pods of Deployments, ReplicaSets and DaemonSets are replaced with every release and whenever a
node runs full, so what they keep there is a cache by their authors' own choice: the plan counts them. The
members of a StatefulSet are made to be told apart, and a bare pod is never replaced at all: what these keep
there, and not in a claim, is likely to be meant, so they need consent.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

BARE_PODS = "bare_pods"
LOCAL_DATA = "local_data"
SINGLE_REPLICA_WEBHOOKS = "single_replica_webhooks"
SUSPEND_CRON_JOBS = "suspend_cron_jobs"
WORDS = (BARE_PODS, LOCAL_DATA, SINGLE_REPLICA_WEBHOOKS, SUSPEND_CRON_JOBS)

# Directories of the node itself: what a pod sees there is not its data.
_OF_THE_NODE = ("/dev", "/etc", "/lib/modules", "/proc", "/run", "/sys", "/usr", "/var/run", "/var/log")


def check_consent(consent: t.Iterable[str]) -> None:
    """Raises ``InvalidInput`` for an entry that is neither a word nor a word with a namespace."""
    for entry in consent:
        word, slash, namespace = entry.partition("/")
        if word not in WORDS or (slash and not namespace):
            raise InvalidInput(
                f"consent: {entry!r} means nothing; an entry is one of {', '.join(WORDS)}, for all namespaces, or such "
                "a word with a slash and a namespace.",
                "consent",
                entry,
            )


def consents(consent: t.Collection[str], word: str, namespace: str) -> bool:
    return word in consent or f"{word}/{namespace}" in consent


def anywhere(consent: t.Iterable[str], word: str) -> bool:
    """Whether it is given for at least one namespace."""
    return any(entry.partition("/")[0] == word for entry in consent)


def local_data(pod_spec: t.Mapping[str, t.Any]) -> list[str]:
    """The volumes whose contents a new pod does not have: emptyDir on disk, and hostPath that is written to."""
    mounted = {
        mount["name"]
        for container in [*(pod_spec.get("containers") or ()), *(pod_spec.get("initContainers") or ())]
        for mount in container.get("volumeMounts") or ()
        if not mount.get("readOnly")
    }
    found = []
    for volume in pod_spec.get("volumes") or ():
        name = str(volume.get("name"))
        if volume.get("emptyDir") is not None and volume["emptyDir"].get("medium") != "Memory":
            found.append(name)
        path = str((volume.get("hostPath") or {}).get("path") or "")
        kind = (volume.get("hostPath") or {}).get("type") or ""
        of_the_node = any(path == known or path.startswith(known + "/") for known in _OF_THE_NODE)
        if path and not of_the_node and name in mounted and kind in ("", "Directory", "DirectoryOrCreate"):
            found.append(name)
    return found
