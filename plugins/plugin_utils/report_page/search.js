// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

async function search(text) {
  const found = [], holding = new Set();
  $("status").textContent = `Looking for ${text} \u2026`;
  const parts = Math.ceil(data.blocks.length / data.part);
  for (let index = 0; index < parts; index += 1) {
    (await part(index)).forEach((rows, at) => {
      for (const row of rows) if (whom(row).toLowerCase().includes(text)) { found.push({ block: index * data.part + at, row }); holding.add(index * data.part + at); }
    });
  }
  const { count } = fade((cell) => holding.has(cell.index));
  $("status").textContent = `${plural(found.length, "address", "addresses")} of ${text}, in ${plural(count, "block")} of this pool.`;
  const host = $("hits");
  host.replaceChildren(make("h3", { tabindex: "-1" }, `${plural(found.length, "address", "addresses")} of ${text}${found.length > HITS ? `, the first ${HITS}` : ""}`));
  if (found.length) {
    table(host, `Addresses of ${text}`, [
      { label: "Address", fix: true, value: (hit) => addressOf(data.blocks[hit.block], hit.row[0]) },
      { label: "Holder", value: (hit) => whom(hit.row) },
      { label: "Node", fix: true, value: (hit) => nodeName(hit.row[3]) },
      { label: "Block", fix: true, value: (hit) => data.blocks[hit.block][CIDR], cell: (hit) => make("button", { class: "link", type: "button", on: { click: () => jump(hit.block) } }, data.blocks[hit.block][CIDR]) },
      { label: "Since", fix: true, value: (hit) => time(hit.row[6]) },
    ], found.slice(0, HITS));
  }
  host.querySelector("h3").focus();
}

function jump(block) {
  $("find").value = "";
  $("mark").value = "all";
  if (view.side !== "now") { view.side = "now"; $("side").value = "now"; }
  choose(data.blocks[block][POOL]);
  const at = view.cells.findIndex((cell) => cell.index === block);
  view.page = Math.floor(at / PAGE);
  draw();
  view.grid.go(at % PAGE);
  open(at);
}

const addressOf = (row, ordinal) => { const base = network(row[CIDR]); return base ? show(base.value + BigInt(ordinal), base.bits) : `${row[CIDR]} +${ordinal}`; };
