# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The resource types this collection reads or writes."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource

CALICO_V1 = "crd.projectcalico.org"
CALICO_V3 = "projectcalico.org"

NAMESPACES = Resource("", "v1", "namespaces", "Namespace", False)
NODES = Resource("", "v1", "nodes", "Node", False)
PODS = Resource("", "v1", "pods", "Pod", True)
SERVICES = Resource("", "v1", "services", "Service", True)
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", True)
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", True)
EVENTS = Resource("", "v1", "events", "Event", True)
PERSISTENT_VOLUME_CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True)
REPLICATION_CONTROLLERS = Resource("", "v1", "replicationcontrollers", "ReplicationController", True)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", True)
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet", True)
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet", True)
DAEMON_SETS = Resource("apps", "v1", "daemonsets", "DaemonSet", True)
JOBS = Resource("batch", "v1", "jobs", "Job", True)
CRON_JOBS = Resource("batch", "v1", "cronjobs", "CronJob", True)
POD_DISRUPTION_BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", True)
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False
)
INSTALLATIONS = Resource("operator.tigera.io", "v1", "installations", "Installation", False)
TIGERA_STATUSES = Resource("operator.tigera.io", "v1", "tigerastatuses", "TigeraStatus", False)

IP_POOLS = Resource(CALICO_V1, "v1", "ippools", "IPPool", False)
IPAM_BLOCKS = Resource(CALICO_V1, "v1", "ipamblocks", "IPAMBlock", False)
BLOCK_AFFINITIES = Resource(CALICO_V1, "v1", "blockaffinities", "BlockAffinity", False)
IPAM_HANDLES = Resource(CALICO_V1, "v1", "ipamhandles", "IPAMHandle", False)
IPAM_CONFIGS = Resource(CALICO_V1, "v1", "ipamconfigs", "IPAMConfig", False)
IP_RESERVATIONS = Resource(CALICO_V1, "v1", "ipreservations", "IPReservation", False)
KUBE_CONTROLLERS_CONFIGURATIONS = Resource(
    CALICO_V1, "v1", "kubecontrollersconfigurations", "KubeControllersConfiguration", False
)
CLUSTER_INFORMATIONS = Resource(CALICO_V1, "v1", "clusterinformations", "ClusterInformation", False)
