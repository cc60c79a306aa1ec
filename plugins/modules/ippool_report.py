#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_report
short_description: Write a report of Calico IP pools as a page to look at, as Markdown and as JSON
version_added: 0.2.0
description:
  - Reads pools, blocks, who holds each address, journals of procedures that are under way and Events on pools, audits
    the data, and writes files on the control node.
  - The page is one HTML file that needs no network. It has a map with one cell a block, which opens to the addresses,
    the use by node and namespace, the findings of the audit, a timeline, and, with O(before), what has changed since an
    earlier report.
  - The page stays below 8 MB. In large clusters, some 200,000 addresses and more, it leaves out the names of who holds
    each address and says so.
  - Nothing is written to the cluster.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - A report has the moment it was made, so it is written anew each time.
options:
  html:
    description: Path of the page, on the control node. Its directory must exist.
    type: path
  markdown:
    description: Path of the report in Markdown, on the control node - figures and findings, without the map.
    type: path
  json:
    description: Path of the report in JSON, on the control node - everything, to be used with O(before) or by programs.
    type: path
  before:
    description:
      - Path of an earlier report of the same cluster in JSON, on the control node.
      - The new page and the new Markdown then show what is different, and the JSON has it in its key C(change).
    type: path
  pool:
    description: Report this pool only.
    type: str
  journals:
    description:
      - Journals of procedures that are over, as RV(calico_ops.ipam.ippool_journal#module:closed), or as
        RV(calico_ops.ipam.ippool_journal#module:journal) of a move whose old pool is kept. The timeline then tells of
        them, too.
    type: list
    elements: dict
    default: []
  audit:
    description: >-
      Whether to audit the data. That reads pods, nodes, Services and all IPAM records, and takes some seconds in large
      clusters.
    type: bool
    default: true
seealso:
  - module: calico_ops.ipam.ippool_report_info
  - module: calico_ops.ipam.ipam_audit_info
  - module: calico_ops.ipam.ipam_block_info
"""

EXAMPLES = r"""
- name: A page to look at, and the figures for a ticket
  calico_ops.ipam.ippool_report:
    html: /tmp/ipam.html
    markdown: /tmp/ipam.md
    json: /tmp/ipam.json

- name: What has changed since
  calico_ops.ipam.ippool_report:
    html: /tmp/ipam-after.html
    before: /tmp/ipam.json
"""

RETURN = r"""
files:
  description: The files that were written, or would be in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path of the file on the control node.
      returned: success
      type: str
      sample: ipam.html
    size:
      description: Its size in bytes.
      returned: success
      type: int
figures:
  description: The most important figures of the report.
  returned: success
  type: dict
  contains:
    pools:
      description: Number of pools.
      returned: success
      type: int
    blocks:
      description: Number of blocks.
      returned: success
      type: int
    in_use:
      description: Number of addresses that are in use.
      returned: success
      type: int
    borrowed:
      description: Number of addresses in use on another node than the block's owner.
      returned: success
      type: int
    leaked:
      description: Number of addresses that nobody uses any more, or null without an audit.
      returned: success
      type: int
    findings:
      description: Number of findings by severity, or null without an audit.
      returned: success
      type: dict
      sample: {error: 0, warning: 2, note: 0}
report:
  description: >-
    The report as JSON text, when the module runs without its action plugin. The action plugin writes it to the files
    and leaves it out.
  returned: never
  type: str
"""

import json
import typing as t
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, datastore_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_etcd_records import records_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_data import figures, report
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_timeline import ended_journals


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    journals = ended_journals(params["journals"])
    with closing(context.stores()) as stores:
        stores.require_readable()
        made = report(
            stores.api,
            records_of(stores),
            read_pools(stores.api),
            stores.records.reservations(),
            SystemClock(),
            pool=params["pool"],
            audited=params["audit"],
            journals=journals,
        )
    return {"changed": False, "figures": figures(made), "report": json.dumps(made, separators=(",", ":"))}


def main() -> None:
    own = ArgumentSpec(
        options={
            # These four are the business of the action plugin, on the control node.
            "html": {"type": "path"},
            "markdown": {"type": "path"},
            "json": {"type": "path"},
            "before": {"type": "path"},
            "pool": {"type": "str"},
            "journals": {"type": "list", "elements": "dict", "default": []},
            "audit": {"type": "bool", "default": True},
        }
    )
    run(own.merge(datastore_argspec()), operate)


if __name__ == "__main__":
    main()
