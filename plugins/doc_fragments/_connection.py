# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is private to the collection calico_ops.ipam.

"""The connection options, mirror of ``_argspec.connection_argspec``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file, or the contents of one as a dictionary.
      - Several paths may be given in one string, separated as in the environment variable E(KUBECONFIG).
      - Without it and without O(host), the file named by E(KUBECONFIG) is read, else C(~/.kube/config), else the
        service account of the pod that the module runs in.
      - If not set, the value of E(K8S_AUTH_KUBECONFIG) is used.
    type: raw
  context:
    description:
      - Name of the context in the kubeconfig; the current context by default.
      - If not set, the value of E(K8S_AUTH_CONTEXT) is used.
    type: str
  host:
    description:
      - URL of the Kubernetes API server, for use without a kubeconfig or in place of the address in it.
      - If not set, the value of E(K8S_AUTH_HOST) is used.
    type: str
  api_key:
    description:
      - Bearer token to authenticate with.
      - If not set, the value of E(K8S_AUTH_API_KEY) is used.
    type: str
  username:
    description:
      - User name for basic authentication.
      - If not set, the value of E(K8S_AUTH_USERNAME) is used.
    type: str
  password:
    description:
      - Password for basic authentication, together with O(username).
      - If not set, the value of E(K8S_AUTH_PASSWORD) is used.
    type: str
  ca_cert:
    description:
      - Path of a file with the certificates of the authorities that may have signed the API server's certificate.
      - If not set, the value of E(K8S_AUTH_SSL_CA_CERT) is used.
    type: path
    aliases: [ssl_ca_cert]
  client_cert:
    description:
      - Path of a client certificate to authenticate with, together with O(client_key).
      - If not set, the value of E(K8S_AUTH_CERT_FILE) is used.
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - Path of the private key of O(client_cert).
      - If not set, the value of E(K8S_AUTH_KEY_FILE) is used.
    type: path
    aliases: [key_file]
  validate_certs:
    description:
      - Whether to verify the API server's certificate. It is verified unless the kubeconfig says otherwise.
      - If not set, the value of E(K8S_AUTH_VERIFY_SSL) is used.
    type: bool
    aliases: [verify_ssl]
  proxy:
    description:
      - URL of an HTTP proxy to reach the API server through.
      - If not set, the value of E(K8S_AUTH_PROXY) is used.
    type: str
  no_proxy:
    description:
      - Host names, domains, addresses and networks, separated by commas, that are reached without the proxy.
      - If not set, the value of E(K8S_AUTH_NO_PROXY) is used.
    type: str
  impersonate_user:
    description:
      - User to act as, if the authenticated user may impersonate it.
      - If not set, the value of E(K8S_AUTH_IMPERSONATE_USER) is used.
    type: str
  impersonate_groups:
    description:
      - Groups to act as a member of, if the authenticated user may impersonate them.
      - If not set, the value of E(K8S_AUTH_IMPERSONATE_GROUPS) is used.
    type: list
    elements: str
requirements:
  - python >= 3.9
  - kubernetes >= 31.0.0
"""
