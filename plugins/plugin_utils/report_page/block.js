// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

function close(back) {
  if (view.open < 0) return;
  const element = view.grid && view.grid.cells[view.open % PAGE];
  if (element) { element.removeAttribute("aria-selected"); if (back) element.focus(); }
  view.open = -1;
  $("detail").hidden = true;
  $("stage").classList.remove("open");
}

async function open(at) {
  const cell = view.cells[at];
  if (!cell || !cell.row) return;
  close(false);
  view.open = at;
  const row = cell.row, host = $("detail");
  view.grid.cellAt(at % PAGE).setAttribute("aria-selected", "true");
  const owner = make("dd", {}, swatch(row[NODE]), nodeName(row[NODE]));
  const facts = make("dl", {}, make("dt", {}, "Node"), owner, make("dt", {}, "In use"), make("dd", {}, `${number(row[USED])} of ${number(row[SIZE])}, ${number(row[FREE])} free`));
  for (const [name, column] of [["Borrowed", BORROWED], ["Leaked", LEAKED], ["Reserved", RESERVED]]) {
    if (row[column]) facts.append(make("dt", {}, name), make("dd", {}, number(row[column])));
  }
  const shut = make("button", { class: "plain", type: "button", on: { click: () => close(true) } }, "Close");
  const title = make("h3", { id: "detail-title", tabindex: "-1" }, `Block ${row[CIDR]}`);
  const left = make("div", {}, title, facts), list = make("div");
  host.replaceChildren(left, list);
  host.hidden = false;
  host.scrollTop = 0;
  $("stage").classList.add("open");
  title.focus({ preventScroll: true });
  view.grid.cells[at % PAGE].scrollIntoView({ block: "nearest" });
  if (view.side === "before" || !known()) {
    list.append(make("p", {}, view.side === "before" ? "Who held its addresses then is in the earlier report." : data.detail === "none" ? "Who holds its addresses is not part of this page." : "This browser is too old to unpack who holds its addresses."));
    left.append(shut);
    return;
  }
  const held = await holders(cell.index);
  if (view.open !== at) return;
  addressGrid(left, row, held);
  left.append(shut);
  const since = (entry) => time(entry[6]);
  if (held.length) {
    table(list, `Addresses in use of ${row[CIDR]}`, [
      { label: "Address", fix: true, value: (entry) => entry[0], cell: (entry) => make("span", { class: "code" }, addressOf(row, entry[0])) },
      { label: "Holder", value: whom, cell: (entry) => { const marks = [entry[4] & 1 ? `borrowed by ${nodeName(entry[3])}` : "", certainty(entry[4]) ? `leaked, ${certainty(entry[4])}` : ""].filter(Boolean).join(" · "); return make("span", {}, whom(entry) || kindName(entry), kind(entry) !== "pod" && whom(entry) ? ` (${kindName(entry)})` : "", marks ? make("span", { class: "severity warning" }, ` · ${marks}`) : null); } },
      { label: "Since", fix: true, value: since },
    ], held);
  } else list.append(make("p", {}, "Nobody holds an address of it."));
}

// The addresses of a block; larger blocks have only the table.
function addressGrid(host, row, held) {
  if (row[SIZE] > 1024) return;
  const by = new Map(held.map((entry) => [entry[0], entry]));
  const readout = make("p", { id: "spot", class: "quiet", "aria-hidden": "true" }, "\u00a0");
  const place = make("div");
  host.append(place, readout);
  const tell = (index) => {
    const entry = by.get(index);
    const address = addressOf(row, index);
    if (!entry) return `${address}, free`;
    return [address, whom(entry) || kindName(entry), entry[3] >= 0 ? `on ${nodeName(entry[3])}` : "", entry[4] & 1 ? "borrowed" : "", certainty(entry[4]) ? `leaked, ${certainty(entry[4])}` : ""].filter(Boolean).join(", ");
  };
  grid(place, `Addresses of ${row[CIDR]}`, row[SIZE], Math.min($("stage").clientWidth < 400 ? 8 : 16, row[SIZE]), {
    cell: (index, element) => {
      const entry = by.get(index);
      element.setAttribute("aria-label", tell(index));
      if (!entry) { element.classList.add("free"); return; }
      element.style.setProperty("--f", "100%");
      paint(element, entry[3] >= 0 ? entry[3] : Math.max(0, row[NODE]));
      const glyph = GLYPHS[kind(entry)];
      if (glyph) element.dataset.g = glyph;
      if (entry[4] & 1) element.classList.add("borrowed");
      if (entry[4] >> 1) element.classList.add("leaked");
    },
    tell,
    look: (text) => { readout.textContent = text; },
  });
}
