// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// ---- the sections ----
function overview() {
  const scope = data.pool ? ` · pool ${data.pool} only` : "";
  $("about").textContent = `Cluster ${data.cluster || "without an identity"}${data.calico ? ` · Calico ${data.calico}` : ""} · ${time(data.taken)} UTC${scope}`;
  $("made").textContent = `Made by calico_ops.ipam ${data.release}. All times are UTC.`;
  document.title = `Calico IPAM report · ${time(data.taken)}`;
  const sum = (column) => data.blocks.reduce((total, row) => total + row[column], 0);
  const used = sum(USED), size = sum(SIZE);
  const put = (name, value, small) => $("figures").append(make("div", {}, make("dt", {}, name), make("dd", {}, value, small ? make("small", {}, small) : null)));
  put("Pools", number(data.pools.length), plural(data.pools.filter((pool) => pool.spec.disabled).length, "disabled", "disabled"));
  put("Blocks", number(data.blocks.length), `on ${plural(data.nodes.filter((row) => row.node).length, "node")}`);
  put("Addresses in use", number(used), `${percent(used, size)} % of their blocks`);
  put("Borrowed", number(sum(BORROWED)), "by other nodes than the owner");
  put("Leaked", data.audit ? number(data.audit.leakedCount) : "–", data.audit ? "held by nobody" : "not looked for");
  const bad = data.audit ? data.audit.severities : null;
  put("Findings", bad ? number(data.audit.count) : "–", bad ? `${plural(bad.error || 0, "error")}, ${plural(bad.warning || 0, "warning")}` : "no audit");
  for (const note of data.notes) $("notes").append(make("p", { class: "note" }, note));
  if (data.detail === "short") $("notes").append(make("p", { class: "note" }, "The names of who holds each address are left out, as the page would be too large; make a report of one pool."));
  if (data.detail === "none") $("notes").append(make("p", { class: "note" }, "Who holds each address is left out, as the page would be too large; make a report of one pool."));
  // The page of a procedure begins with what that has done.
  if (data.change) $("overview").after($("change"), $("timeline"));
  for (const section of document.querySelectorAll("main > section[id]:not([hidden])")) {
    const title = section.querySelector("h2");
    if (title.className !== "away") $("contents").append(make("li", {}, make("a", { href: `#${section.id}` }, title.textContent)));
  }
}

function findings() {
  const host = body("findings");
  if (!data.audit) host.append(make("p", {}, "The audit was not asked for."));
  else if (!data.audit.count) host.append(make("p", {}, "None: the records, the pools and what runs in the cluster agree."));
  else {
    table(host, "Findings of the audit", [
      { label: "Severity", fix: true, value: (row) => ["error", "warning", "note"].indexOf(row.severity), cell: (row) => make("span", { class: `severity ${row.severity}` }, row.severity) },
      { label: "Check", fix: true, value: (row) => row.check },
      { label: "Finding", value: (row) => row.message },
      { label: "What to do", value: (row) => row.remedy },
    ], data.audit.findings, null, 8);
    if (data.audit.count > data.audit.findings.length) host.append(make("p", { class: "quiet" }, `And ${number(data.audit.count - data.audit.findings.length)} more.`));
  }
  if (data.damaged.length) {
    host.append(make("h3", {}, "Damaged records"));
    table(host, "Damaged records", [
      { label: "Kind", fix: true, value: (row) => row.kind }, { label: "Name", value: (row) => row.name }, { label: "Fault", value: (row) => row.fault },
    ], data.damaged);
  }
}

const encapsulation = (spec) => {
  if ((spec.ipipMode || "Never") !== "Never") return `IPIP ${spec.ipipMode}`;
  return (spec.vxlanMode || "Never") !== "Never" ? `VXLAN ${spec.vxlanMode}` : "none";
};

function pools() {
  const host = body("pools");
  if (!data.pools.length) { host.append(make("p", {}, "This cluster has no IP pools.")); return; }
  table(host, "Pools", [
    { label: "Pool", fix: true, value: (row) => row.name, cell: (row) => make("button", { class: "link", type: "button", "aria-label": `${row.name}, show on the map`, on: { click: () => present("now", row.name) } }, row.name) },
    { label: "CIDR", fix: true, value: (row) => row.spec.cidr },
    { label: "Block", fix: true, value: (row) => row.spec.blockSize, cell: (row) => `/${row.spec.blockSize}` },
    { label: "State", fix: true, value: (row) => (row.spec.disabled ? "disabled" : "enabled") },
    { label: "Encapsulation", fix: true, value: (row) => encapsulation(row.spec) },
    { label: "NAT", fix: true, value: (row) => (row.spec.natOutgoing ? "yes" : "no") },
    { label: "Nodes", value: (row) => row.spec.nodeSelector || "all()", cell: (row) => make("code", {}, row.spec.nodeSelector || "all()") },
    { label: "Blocks", num: true, value: (row) => row.utilization.blocks.allocated },
    { label: "Possible", num: true, value: (row) => row.utilization.blocks.possible },
    { label: "In use", num: true, value: (row) => row.utilization.addresses.in_use },
    { label: "Addresses", num: true, value: (row) => row.utilization.addresses.capacity },
    { label: "Of the pool", fix: true, value: (row) => row.utilization.addresses.in_use / (row.utilization.addresses.capacity || 1), cell: (row) => gauge(row.utilization.addresses.in_use, row.utilization.addresses.capacity) },
  ], data.pools);
}

function nodes() {
  const host = body("nodes");
  const index = new Map(data.nodeNames.map((name, at) => [name, at]));
  const see = (row) => () => { $("find").value = row.node; $("mark").value = "all"; highlight(); $("map").scrollIntoView(); $("find").focus({ preventScroll: true }); };
  if (!data.nodes.length) { host.append(make("p", {}, "No node owns a block.")); return; }
  table(host, "What each node owns", [
    { label: "No.", num: true, value: (row) => (row.node ? index.get(row.node) + 1 : "") },
    { label: "Node", head: true, fix: true, value: (row) => row.node || "\uffff", cell: (row) => { const cell = make("span", {}, swatch(row.node ? index.get(row.node) : -1)); cell.append(row.node ? make("button", { class: "link", type: "button", "aria-label": `${row.node}, show on the map`, on: { click: see(row) } }, row.node) : "no owner"); return cell; } },
    { label: "Blocks", num: true, value: (row) => row.blocks },
    { label: "In use", num: true, value: (row) => row.in_use },
    { label: "Free", num: true, value: (row) => row.free },
    { label: "Borrowed by others", num: true, value: (row) => row.borrowed },
    { label: "Leaked", num: true, value: (row) => row.leaked },
    { label: "Of its blocks", fix: true, value: (row) => row.in_use / (row.addresses || 1), cell: (row) => gauge(row.in_use, row.addresses) },
  ], data.nodes, [1, false]);
}

function namespaces() {
  const host = body("namespaces");
  if (!data.namespaces.length) { host.append(make("p", {}, "No address is in use.")); return; }
  const total = data.namespaces.reduce((sum, row) => sum + row.addresses, 0);
  table(host, "Addresses of each namespace", [
    { label: "Namespace", fix: true, value: (row) => row.namespace || "", cell: (row) => row.namespace || make("span", { class: "quiet" }, "none (tunnels and others)") },
    { label: "Pool", fix: true, value: (row) => row.pool || "none" },
    { label: "Addresses", num: true, value: (row) => row.addresses },
    { label: "Of them pods", num: true, value: (row) => row.pods },
    { label: "Borrowed", num: true, value: (row) => row.borrowed },
    { label: "Leaked", num: true, value: (row) => row.leaked },
    { label: "Of all in use", fix: true, value: (row) => row.addresses, cell: (row) => gauge(row.addresses, total) },
  ], data.namespaces, [2, true]);
}
