# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is private to the collection calico_ops.ipam.

"""The options of the datastore, mirror of ``_argspec.datastore_argspec``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  datastore:
    description:
      - Where Calico keeps its data.
      - V(kubernetes) is the Kubernetes API, with the objects of C(crd.projectcalico.org).
      - V(etcd) is an etcd of Calico's own. Pods and nodes are still asked of the Kubernetes API.
      - If not set, the value of E(CALICO_DATASTORE_TYPE) or E(DATASTORE_TYPE) is used, where C(etcdv3) stands for
        V(etcd).
    type: str
    choices: [kubernetes, etcd]
    default: kubernetes
    version_added: 0.2.0
  etcd_endpoints:
    description:
      - URLs of the members of Calico's etcd, such as V(https://10.0.0.1:2379), which are tried in this order.
      - Needed with O(datastore=etcd), ignored otherwise, as are all options that begin with C(etcd_).
      - If not set, the value of E(CALICO_ETCD_ENDPOINTS) or E(ETCD_ENDPOINTS) is used, with commas in between.
    type: list
    elements: str
    version_added: 0.2.0
  etcd_ca_cert:
    description:
      - Path of a file with the certificates of the authorities that may have signed the certificates of etcd, or these
        certificates as text.
      - If not set, the value of E(CALICO_ETCD_CA_CERT_FILE), E(ETCD_CA_CERT_FILE), E(CALICO_ETCD_CA_CERT) or
        E(ETCD_CA_CERT) is used.
    type: str
    version_added: 0.2.0
  etcd_cert:
    description:
      - Path of a client certificate, or the certificate as text; together with O(etcd_key).
      - If not set, the value of E(CALICO_ETCD_CERT_FILE), E(ETCD_CERT_FILE), E(CALICO_ETCD_CERT) or E(ETCD_CERT) is
        used.
    type: str
    version_added: 0.2.0
  etcd_key:
    description:
      - Path of the private key of O(etcd_cert), or the key as text.
      - If not set, the value of E(CALICO_ETCD_KEY_FILE), E(ETCD_KEY_FILE), E(CALICO_ETCD_KEY) or E(ETCD_KEY) is used.
    type: str
    version_added: 0.2.0
  etcd_username:
    description:
      - Name of a user of etcd, together with O(etcd_password).
      - If not set, the value of E(CALICO_ETCD_USERNAME) or E(ETCD_USERNAME) is used.
    type: str
    version_added: 0.2.0
  etcd_password:
    description:
      - Password of O(etcd_username).
      - If not set, the value of E(CALICO_ETCD_PASSWORD) or E(ETCD_PASSWORD) is used.
    type: str
    version_added: 0.2.0
"""
