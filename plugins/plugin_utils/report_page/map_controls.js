// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

function blockTable() {
  const host = body("block-table");
  host.replaceChildren();
  table(host, "Blocks of the chosen pool", [
    { label: "Block", fix: true, value: (cell) => cell.row[CIDR] },
    { label: "Node", fix: true, value: (cell) => nodeName(cell.row[NODE]) },
    { label: "In use", num: true, value: (cell) => cell.row[USED] },
    { label: "Size", num: true, value: (cell) => cell.row[SIZE] },
    { label: "Free", num: true, value: (cell) => cell.row[FREE] },
    { label: "Borrowed", num: true, value: (cell) => cell.row[BORROWED] },
    { label: "Leaked", num: true, value: (cell) => cell.row[LEAKED] },
  ], view.cells.filter((cell) => cell.row));
}

function choose(pool) { view.pool = pool; $("pool").value = String(pool); }

function offer() {
  const counts = new Map();
  for (const row of source().blocks) counts.set(row[POOL], (counts.get(row[POOL]) || 0) + 1);
  const names = new Set(source().pools.map((pool) => data.poolNames.indexOf(pool.name)));
  if (counts.has(-1)) names.add(-1);
  const options = [...names].map((pool) => make("option", { value: pool }, `${pool < 0 ? "outside every pool" : data.poolNames[pool]} (${plural(counts.get(pool) || 0, "block")})`));
  $("pool").replaceChildren(...options);
  const most = [...names].sort((a, b) => (counts.get(b) || 0) - (counts.get(a) || 0))[0];
  choose(names.has(view.pool) && view.pool >= 0 ? view.pool : most === undefined ? -1 : most);
}

function map() {
  if (![data, data.before].some((each) => each && (each.pools.length || each.blocks.length))) {
    const title = $("map-title");
    $("map").replaceChildren(title, make("p", {}, "There are no blocks."));
    return;
  }
  const legend = (element, text) => $("legend").append(make("li", {}, element, text));
  const sample = (shape, fill) => { const cell = paint(make("span", { class: `c ${shape}`, "aria-hidden": "true" }), 0); cell.style.setProperty("--f", fill); return cell; };
  legend(sample("", "45%"), "colour: its node; height: how much is in use");
  legend(sample("borrowed", "45%"), "borrowed");
  if (data.audit) legend(sample("leaked", "45%"), "leaked");
  legend(sample("none", "0%"), "no owner");
  legend(sample("free", "0%"), "no block");
  if (data.nodeNames.length <= NAMED) data.nodeNames.forEach((name, index) => $("keys").append(make("li", {}, swatch(index), `${index + 1} ${name}`)));
  else $("keys").append(make("li", {}, `The table of nodes below has the colour and the number of each of the ${number(data.nodeNames.length)} nodes.`));
  for (const name of data.nodeNames.slice(0, 2000)) $("node-names").append(make("option", { value: name }));
  if (data.before) {
    $("side-label").hidden = false;
    $("side").append(make("option", { value: "now" }, `after, ${time(data.taken)}`), make("option", { value: "before" }, `before, ${time(data.before.taken)}`));
    $("side").addEventListener("change", () => { view.side = $("side").value; view.page = 0; offer(); draw(); });
  }
  offer();
  draw();
  $("pool").addEventListener("change", () => { view.pool = Number($("pool").value); view.page = 0; view.places = null; draw(); });
  $("places").addEventListener("change", () => { view.places = $("places").checked; view.page = 0; draw(); });
  $("numbers").addEventListener("change", () => { view.numbers = $("numbers").checked; draw(); });
  $("mark").addEventListener("change", highlight);
  // A map of thousands of blocks is not faded anew for each letter.
  let typing = 0;
  $("find").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(highlight, view.cells.length > AT_ONCE ? 200 : 0); });
  $("controls").addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(typing); highlight(); const button = $("hits").querySelector("button"); if (button) button.click(); });
  $("block-table").addEventListener("toggle", () => { if ($("block-table").open) blockTable(); });
  $("stage").addEventListener("keydown", (event) => { if (event.key === "Escape" && view.open >= 0) { event.preventDefault(); close(true); } });
  let width = $("grid").clientWidth, waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const opened = view.open, focus = document.activeElement;
      if ($("grid").clientWidth === width) return;
      width = $("grid").clientWidth;
      draw();
      if (opened < 0) return;
      open(opened);
      if (focus.isConnected) focus.focus({ preventScroll: true });
    }, 150);
  });
}
