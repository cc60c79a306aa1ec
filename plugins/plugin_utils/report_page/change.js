// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// ---- before and after ----
function change() {
  const found = data.change;
  if (!found) return;
  $("change").hidden = false;
  const host = body("change");
  const line = (what, figures) => `${what}: ${number(figures.gone)} gone, ${number(figures.kept)} kept, ${number(figures.new)} new`;
  host.append(make("p", {}, `From ${time(found.before)} to ${time(found.after)}. ${line("Blocks", found.blocks)}. ${line("Addresses", found.addresses)}.`));
  const side = (which, key) => (row) => (row[which] ? row[which][key] : "–");
  const state = (which) => (row) => (!row[which] ? "–" : `/${row[which].block_size}${row[which].disabled ? ", disabled" : ""}`);
  const most = Math.max(1, ...found.pools.flatMap((row) => [row.before, row.after].map((each) => (each ? each.in_use : 0))));
  const pair = (row) => {
    const bar = (each) => { const inner = make("span"); inner.style.width = `${(100 * (each ? each.in_use : 0)) / most}%`; return make("span", { class: "gauge" }, inner); };
    return make("span", { class: "pair", "aria-hidden": "true" }, bar(row.before), bar(row.after));
  };
  table(host, "Pools before and after", [
    { label: "Pool", fix: true, value: (row) => row.name },
    { label: "CIDR", fix: true, value: (row) => (row.after || row.before).cidr },
    { label: "Block before", fix: true, value: state("before") },
    { label: "after", fix: true, value: state("after") },
    { label: "Blocks before", num: true, value: side("before", "blocks") },
    { label: "after", num: true, value: side("after", "blocks") },
    { label: "In use before", num: true, value: side("before", "in_use") },
    { label: "after", num: true, value: side("after", "in_use") },
    { label: "Before, and after below it", cell: pair },
    { label: "Map", fix: true, cell: (row) => { const show = (which, text) => (row[which === "now" ? "after" : "before"] ? make("button", { class: "link", type: "button", "aria-label": `Map of ${row.name} ${text}`, on: { click: () => present(which, row.name) } }, text) : null); const cell = make("span"); cell.append(...[show("before", "before"), " ", show("now", "after")].filter(Boolean)); return cell; } },
  ], found.pools);
  const moved = found.namespaces.filter((row) => row.before !== row.after);
  host.append(make("h3", {}, "Namespaces"));
  if (moved.length) {
    table(host, "Addresses of namespaces before and after", [
      { label: "Namespace", fix: true, value: (row) => row.namespace || "", cell: (row) => row.namespace || make("span", { class: "quiet" }, "none (tunnels and others)") },
      { label: "Pool", fix: true, value: (row) => row.pool || "none" },
      { label: "Before", num: true, value: (row) => row.before },
      { label: "After", num: true, value: (row) => row.after },
    ], moved, null, 8);
  }
  if (moved.length < found.namespaces.length) host.append(make("p", { class: "quiet" }, `${moved.length ? "All others" : "All"} have as many addresses of the same pools as before.`));
}
