// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// ---- the map ----
const view = { side: "now", pool: -1, cells: [], page: 0, places: null, numbers: null, grid: null, open: -1, parsed: new Map() };
const network = (text) => { if (!view.parsed.has(text)) view.parsed.set(text, parse(text)); return view.parsed.get(text); };
const source = () => (view.side === "now" ? data : data.before);
// The map of a pool, at a moment.
function present(side, name) {
  view.side = side;
  if (data.before) $("side").value = side;
  view.pool = data.poolNames.indexOf(name);
  Object.assign(view, { page: 0, places: null });
  offer();
  draw();
  $("map").scrollIntoView();
  $("pool").focus({ preventScroll: true });
}

function words(cell) {
  if (!cell.row) return `${cell.free}, no block`;
  const row = cell.row;
  const marks = [row[BORROWED] ? `, ${number(row[BORROWED])} borrowed` : "", row[LEAKED] ? `, ${number(row[LEAKED])} leaked` : "", row[RESERVED] ? `, ${number(row[RESERVED])} reserved` : ""].join("");
  return `${row[CIDR]}, ${nodeName(row[NODE])}, ${number(row[USED])} of ${number(row[SIZE])} in use${marks}`;
}

// Every place a block can have, so that holes show; null where there are too many, or blocks of other sizes.
function placesOf(pool, found) {
  const described = source().pools.find((each) => each.name === data.poolNames[pool]);
  if (!described || described.utilization.blocks.possible > ALL_PLACES) return null;
  const base = network(described.spec.cidr), size = described.spec.blockSize;
  if (!base || !found.every((cell) => (network(cell.row[CIDR]) || {}).prefix === size)) return null;
  const width = BigInt(base.bits - size);
  const places = Array.from({ length: described.utilization.blocks.possible }, () => null);
  for (const cell of found) {
    const at = Number((network(cell.row[CIDR]).value - base.value) >> width);
    if (at < 0 || at >= places.length || places[at]) return null;
    places[at] = cell;
  }
  return places.map((cell, at) => cell || { free: `${show(base.value + (BigInt(at) << width), base.bits)}/${size}` });
}

// The pool's blocks, or all its places.
function cellsOf(pool) {
  const found = [];
  source().blocks.forEach((row, index) => { if (row[POOL] === pool) found.push({ row, index }); });
  const places = placesOf(pool, found);
  $("places-label").hidden = !places;
  if (view.places === null) $("places").checked = Boolean(places) && found.length * SPARSE >= places.length;
  return places && $("places").checked ? places : found;
}

function draw() {
  close(false);
  view.cells = cellsOf(view.pool);
  const pages = Math.max(1, Math.ceil(view.cells.length / PAGE));
  view.page = Math.min(view.page, pages - 1);
  const cells = view.cells.slice(view.page * PAGE, (view.page + 1) * PAGE);
  const host = $("grid");
  const name = view.pool < 0 ? "outside every pool" : `of pool ${data.poolNames[view.pool]}`;
  if (!cells.length) { host.replaceChildren(make("p", {}, `There are no blocks ${name}.`)); view.grid = null; highlight(); return; }
  const numbered = view.numbers === null ? cells.length <= NUMBERED : view.numbers;
  $("numbers").checked = numbered;
  const dense = cells.length > AT_ONCE && !numbered;
  const step = numbered ? 28 : dense ? 13 : 19;
  const kin = new Map(); // the cells of each node
  cells.forEach((cell, index) => { if (cell.row && cell.row[NODE] >= 0) { const own = kin.get(cell.row[NODE]); if (own) own.push(index); else kin.set(cell.row[NODE], [index]); } });
  let shown = -1;
  // The other blocks of a node stand out with the one that is looked at.
  const relate = (node) => {
    if (node === shown) return;
    const mark = (which, on) => { const own = kin.get(which) || []; if (own.length <= KIN) for (const index of own) if (made.cells[index]) made.cells[index].classList.toggle("kin", on); };
    mark(shown, false);
    mark(node, true);
    shown = node;
  };
  const six = cells.some((cell) => (cell.row ? cell.row[CIDR] : cell.free).includes(":"));
  const headWidth = six ? 190 : 110;
  const room = Math.floor((host.clientWidth - headWidth) / step);
  const columns = Math.max(Math.max(4, Math.min(8, room)), Math.min(128, [128, 64, 32, 16].find((each) => each <= room && room < each * 1.35) || room - (room % 8)));
  const made = grid(host, `Blocks ${name}, one cell a block in order of address`, cells.length, columns, {
    cell: (index, element) => {
      const cell = cells[index];
      element.setAttribute("aria-label", words(cell));
      if (cell.dim) element.classList.add("dim");
      if (!cell.row) { element.classList.add("free"); return; }
      const row = cell.row;
      element.style.setProperty("--f", `${Math.round((100 * row[USED]) / row[SIZE])}%`);
      if (row[NODE] < 0) element.classList.add("none"); else paint(element, row[NODE]);
      if (row[BORROWED]) element.classList.add("borrowed");
      if (row[LEAKED]) element.classList.add("leaked");
      if (numbered) element.dataset.g = row[NODE] < 0 ? "" : row[NODE] + 1;
      if (row[NODE] === shown && shown >= 0 && kin.get(shown).length <= KIN) element.classList.add("kin");
    },
    described: "help",
    head: (index) => (cells[index].row ? cells[index].row[CIDR] : cells[index].free).split("/")[0],
    tell: (index) => words(cells[index]),
    look: (text, index) => { $("readout").textContent = text; relate(index < 0 || !cells[index].row ? -1 : cells[index].row[NODE]); },
    open: (index) => open(index + view.page * PAGE),
  });
  view.grid = made;
  made.root.classList.toggle("dense", dense);
  made.root.classList.toggle("large", cells.length > AT_ONCE);
  made.root.classList.toggle("numbered", numbered);
  if (numbered) made.root.style.setProperty("--cell", "26px");
  made.root.style.setProperty("--head", `${headWidth}px`);
  if (pages > 1) {
    const turn = (by, text) => make("button", { class: "plain", type: "button", disabled: view.page + by < 0 || view.page + by >= pages, on: { click: () => { view.page += by; draw(); } } }, text);
    host.append(make("p", {}, turn(-1, "Earlier blocks"), turn(1, "Later blocks"), ` part ${view.page + 1} of ${pages}`));
  }
  $("readout").textContent = "";
  highlight();
  if ($("block-table").open) blockTable();
}

const MARKS = {
  all: () => true,
  borrowed: (row) => row[BORROWED] > 0,
  leaked: (row) => row[LEAKED] > 0,
  ownerless: (row) => row[NODE] < 0,
  full: (row) => row[FREE] === 0,
};

// Blocks that do not fit fade; how many do, with how many addresses, and how many blocks there are.
function fade(fits) {
  let count = 0, used = 0, total = 0;
  view.cells.forEach((cell, at) => {
    const yes = fits(cell);
    if (cell.row) total += 1;
    if (yes && cell.row) { count += 1; used += cell.row[USED]; }
    if (cell.dim === !yes) return;
    cell.dim = !yes;
    const element = view.grid && view.grid.cells[at - view.page * PAGE];
    if (element) element.classList.toggle("dim", cell.dim);
  });
  return { count, used, total };
}

// What does not fit the choice fades; the count says how many are left.
function highlight() {
  const mark = $("mark").value, text = $("find").value.trim();
  const lower = text.toLowerCase();
  const wanted = /^[0-9a-f.:]+(\/\d+)?$/i.test(text) && (text.includes(".") || text.includes(":")) ? parse(text) : null;
  const exact = data.nodeNames.indexOf(text);
  const fits = (cell) => {
    if (!cell.row) return mark === "all" && !text;
    if (!MARKS[mark](cell.row)) return false;
    if (!text) return true;
    if (exact >= 0) return cell.row[NODE] === exact;
    if (wanted) return Boolean(contains(network(cell.row[CIDR]), wanted) || contains(wanted, network(cell.row[CIDR])));
    return cell.row[CIDR].startsWith(lower) || nodeName(cell.row[NODE]).toLowerCase().includes(lower);
  };
  const chosen = mark !== "all" || text;
  const { count, used, total } = fade(chosen ? fits : () => true);
  $("status").textContent = chosen ? `${number(count)} of ${plural(total, "block")} with ${plural(used, "address", "addresses")} in use.` : `${plural(total, "block")}.`;
  $("hits").replaceChildren();
  if (text && !count && known() && view.side === "now") {
    $("hits").append(make("p", {}, make("button", { class: "plain", type: "button", on: { click: () => search(lower) } }, `Look for pods called ${text}`)));
  }
}
