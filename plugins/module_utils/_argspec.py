# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Argument specifications as values that are put together.

Each part here has a documentation fragment of the same name; a module merges the parts
it documents with its own options and hands the sum to ``_module.run``.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ansible.module_utils.basic import env_fallback
from ansible.module_utils.common.parameters import AnsibleFallbackNotFound

Options = t.Dict[str, t.Dict[str, t.Any]]


@dataclass(frozen=True)
class ArgumentSpec:
    """Options of a module with the rules between them; ``merge`` makes the sum of two."""

    options: Options
    mutually_exclusive: tuple[tuple[str, ...], ...] = ()
    required_together: tuple[tuple[str, ...], ...] = ()
    required_one_of: tuple[tuple[str, ...], ...] = ()
    required_if: tuple[tuple[t.Any, ...], ...] = ()
    required_by: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def merge(self, *others: ArgumentSpec) -> ArgumentSpec:
        """The sum of this part and others; an option that two parts define is a mistake of ours."""
        merged = self
        for other in others:
            twice = set(merged.options) & set(other.options)
            if twice:
                raise ValueError(f"options defined twice: {', '.join(sorted(twice))}")
            merged = ArgumentSpec(
                options={**merged.options, **other.options},
                mutually_exclusive=merged.mutually_exclusive + other.mutually_exclusive,
                required_together=merged.required_together + other.required_together,
                required_one_of=merged.required_one_of + other.required_one_of,
                required_if=merged.required_if + other.required_if,
                required_by={**merged.required_by, **other.required_by},
            )
        return merged

    def to_kwargs(self) -> dict[str, t.Any]:
        """Keyword arguments for ``AnsibleModule``."""
        return {
            "argument_spec": self.options,
            "mutually_exclusive": self.mutually_exclusive,
            "required_together": self.required_together,
            "required_one_of": self.required_one_of,
            "required_if": self.required_if,
            "required_by": self.required_by,
        }


def connection_argspec() -> ArgumentSpec:
    """How to reach the cluster: names, aliases and environment variables of ``kubernetes.core``."""

    def option(variable: str, **rest: t.Any) -> dict[str, t.Any]:
        return {"type": "str", "fallback": (env_fallback, [variable]), **rest}

    return ArgumentSpec(
        options={
            "kubeconfig": option("K8S_AUTH_KUBECONFIG", type="raw"),
            "context": option("K8S_AUTH_CONTEXT"),
            "host": option("K8S_AUTH_HOST"),
            "api_key": option("K8S_AUTH_API_KEY", no_log=True),
            "username": option("K8S_AUTH_USERNAME"),
            "password": option("K8S_AUTH_PASSWORD", no_log=True),
            "ca_cert": option("K8S_AUTH_SSL_CA_CERT", type="path", aliases=["ssl_ca_cert"]),
            "client_cert": option("K8S_AUTH_CERT_FILE", type="path", aliases=["cert_file"]),
            "client_key": option("K8S_AUTH_KEY_FILE", type="path", aliases=["key_file"], no_log=False),
            "validate_certs": option("K8S_AUTH_VERIFY_SSL", type="bool", aliases=["verify_ssl"]),
            "proxy": option("K8S_AUTH_PROXY"),
            "no_proxy": option("K8S_AUTH_NO_PROXY"),
            "impersonate_user": option("K8S_AUTH_IMPERSONATE_USER"),
            "impersonate_groups": option("K8S_AUTH_IMPERSONATE_GROUPS", type="list", elements="str"),
        },
    )


def datastore_argspec() -> ArgumentSpec:
    """Where Calico keeps its data, with the environment variables of ``calicoctl``."""

    def option(*variables: str, **rest: t.Any) -> dict[str, t.Any]:
        # Calico looks at each of its variables with its prefix first.
        names = [name for variable in variables for name in (f"CALICO_{variable}", variable)]
        return {"type": "str", "fallback": (env_fallback, names), **rest}

    return ArgumentSpec(
        options={
            "datastore": {
                "type": "str",
                "choices": ["kubernetes", "etcd"],
                "default": "kubernetes",
                "fallback": (datastore_fallback, ["CALICO_DATASTORE_TYPE", "DATASTORE_TYPE"]),
            },
            "etcd_endpoints": option("ETCD_ENDPOINTS", type="list", elements="str"),
            "etcd_ca_cert": option("ETCD_CA_CERT_FILE", "ETCD_CA_CERT"),
            "etcd_cert": option("ETCD_CERT_FILE", "ETCD_CERT"),
            "etcd_key": option("ETCD_KEY_FILE", "ETCD_KEY", no_log=True),
            "etcd_username": option("ETCD_USERNAME"),
            "etcd_password": option("ETCD_PASSWORD", no_log=True),
        },
    )


def datastore_fallback(*variables: str) -> str:
    """The datastore named by the first variable that is set; Calico calls etcd ``etcdv3``."""
    for variable in variables:
        value = os.environ.get(variable)
        if value:
            return "etcd" if value == "etcdv3" else value
    raise AnsibleFallbackNotFound


def run_argspec() -> ArgumentSpec:
    """The option ``run``: the run of a procedure for which a module writes."""
    return ArgumentSpec(options={"run": {"type": "str"}})


def pool_fields_argspec() -> ArgumentSpec:
    """Every field of an IP pool's spec: snake_case, with Calico's own spelling as the alias."""
    modes = ["Never", "Always", "CrossSubnet"]
    return ArgumentSpec(
        options={
            "cidr": {"type": "str"},
            "block_size": {"type": "int", "aliases": ["blockSize"]},
            "ipip_mode": {"type": "str", "choices": modes, "aliases": ["ipipMode"]},
            "vxlan_mode": {"type": "str", "choices": modes, "aliases": ["vxlanMode"]},
            "nat_outgoing": {"type": "bool", "aliases": ["natOutgoing"]},
            "disabled": {"type": "bool"},
            "disable_bgp_export": {"type": "bool", "aliases": ["disableBGPExport"]},
            "node_selector": {"type": "str", "aliases": ["nodeSelector"]},
            "namespace_selector": {"type": "str", "aliases": ["namespaceSelector"]},
            "allowed_uses": {
                "type": "list",
                "elements": "str",
                "choices": ["Workload", "Tunnel", "LoadBalancer"],
                "aliases": ["allowedUses"],
            },
            "assignment_mode": {"type": "str", "choices": ["Automatic", "Manual"], "aliases": ["assignmentMode"]},
        },
    )


def metadata_argspec() -> ArgumentSpec:
    """Labels and annotations of a pool."""
    return ArgumentSpec(options={"labels": {"type": "dict"}, "annotations": {"type": "dict"}})


def target_argspec() -> ArgumentSpec:
    """The option ``target``: the pool that pods move to."""
    fields = {"name": {"type": "str", "required": True}, **_pool_options()}
    return ArgumentSpec(options={"target": {"type": "dict", "options": fields}})


def pools_argspec() -> ArgumentSpec:
    """The option ``pools``: a list of declared pools."""
    fields = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        **_pool_options(),
    }
    return ArgumentSpec(options={"pools": {"type": "list", "elements": "dict", "options": fields}})


def _pool_options() -> Options:
    return pool_fields_argspec().merge(metadata_argspec()).options
