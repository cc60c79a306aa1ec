// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const CIDR = 0, POOL = 1, NODE = 2, SIZE = 3, USED = 4, FREE = 5, BORROWED = 6, LEAKED = 7, RESERVED = 8;
  const ALL_PLACES = 2048; // pools with no more places than this show the free ones, too
  const PAGE = 16384; // cells drawn at once
  const SPARSE = 16; // of a pool with fewer blocks than one in so many places, blocks only at first
  const NUMBERED = 512; // so many places have room for numbers, so they are there from the start
  const KIN = 1000; // of a node with more blocks, the others do not stand out with one
  const AT_ONCE = 1500; // cells of a grid that is drawn as a whole
  const SHOWN = 25; // rows of a table before its button is pressed
  const LONG = 48; // what has more characters is broken into lines
  const HITS = 200;
  const NAMED = 24; // so many nodes are named beside the map
  const GLYPHS = { pod: "", tunnel: "T", loadbalancer: "S", windows: "W", vm: "V", cooling: "C", unknown: "?" };
  const KIND_NAMES = { loadbalancer: "Service", vm: "virtual machine", windows: "kept by Windows" };

  // ---- small things: elements get text, never markup ----
  const $ = (id) => document.getElementById(id);
  const body = (id) => $(id).querySelector(".body");
  const format = new Intl.NumberFormat("en-US");
  // Pools of IPv6 have more addresses than anybody reads digit by digit.
  const raised = (power) => [...String(power)].map((digit) => "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"[digit]).join("");
  const number = (value) => {
    if (value < 1e12) return format.format(value);
    const power = Math.floor(Math.log10(value));
    return `${(value / 10 ** power).toFixed(1)} \u00d7 10${raised(power)}`;
  };
  const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many || one + "s"}`;
  const time = (text) => (text ? String(text).replace("T", " ").replace(/Z$/, "") : "");
  const percent = (part, whole) => (whole ? Math.round((100 * part) / whole) : 0);

  function make(tag, options = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(options)) {
      if (key === "class") element.className = value;
      else if (key === "on") for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  // Neighbours in the list of names are far apart on the wheel of colours, and of three brightnesses.
  function paint(element, index) {
    element.style.setProperty("--h", ((index * 137.508 + 20) % 360).toFixed(1));
    element.style.setProperty("--t", [0, 0.14, -0.13][index % 3]);
    return element;
  }

  const nodeName = (index) => (index < 0 ? "no owner" : data.nodeNames[index]);
  const swatch = (index) => (index < 0 ? make("span", { class: "swatch none" }) : paint(make("span", { class: "swatch" }), index));

  function gauge(part, whole) {
    const bar = make("span");
    bar.style.width = `${Math.min(100, whole ? (100 * part) / whole : 0)}%`;
    const cell = document.createDocumentFragment();
    cell.append(make("span", { class: "gauge", "aria-hidden": "true" }, bar), make("span", { class: "percent" }, `${percent(part, whole)} %`));
    return cell;
  }

  // A table that is wider than its place is scrolled by keyboard, too; others are no stop of the tab key.
  const wide = new ResizeObserver((seen) => {
    for (const { target } of seen) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0; else target.removeAttribute("tabindex");
    }
  });

  // ---- tables that can be sorted and begin short ----
  // A column: label, value(row) to sort by, cell(row) to show, num for figures, fix for what must not break, and head
  // for what names the row, which is the first one else.
  function table(host, caption, columns, rows, sort, short = SHOWN) {
    const names = Math.max(0, columns.findIndex((column) => column.head));
    const state = { by: sort ? sort[0] : -1, down: sort ? sort[1] : false, all: false };
    const holder = make("div", { class: "scroll", role: "group", "aria-label": caption });
    wide.observe(holder);
    const more = make("button", { class: "plain", type: "button", on: { click: () => { state.all = true; draw(); } } });
    host.append(holder, more);
    function draw() {
      let shown = rows;
      if (state.by >= 0) {
        const value = columns[state.by].value;
        const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
        shown = [...rows].sort((a, b) => order(value(a), value(b)) * (state.down ? -1 : 1));
      }
      const head = make("tr");
      columns.forEach((column, index) => {
        const sorted = index === state.by ? (state.down ? "descending" : "ascending") : null;
        const click = () => {
          const same = state.by === index;
          Object.assign(state, { by: index, down: same ? !state.down : Boolean(column.num) });
          draw();
          holder.querySelectorAll("thead th")[index].querySelector("button").focus();
        };
        const label = column.value ? make("button", { type: "button", on: { click } }, column.label) : column.label;
        head.append(make("th", { scope: "col", class: column.num ? "num" : "", "aria-sort": sorted }, label));
      });
      const lines = make("tbody");
      for (const row of state.all ? shown : shown.slice(0, short)) {
        const line = make("tr");
        columns.forEach((column, index) => {
          const value = column.cell ? column.cell(row) : column.value(row);
          const long = String(value instanceof Node ? value.textContent : value).length > LONG;
          const shape = column.num ? "num" : column.fix && !long ? "fix" : long ? "long" : "";
          line.append(make(index === names ? "th" : "td", { class: shape, scope: index === names ? "row" : null }, column.num && typeof value === "number" ? number(value) : value ?? ""));
        });
        lines.append(line);
      }
      holder.replaceChildren(make("table", {}, make("caption", { class: "away" }, caption), make("thead", {}, head), lines));
      more.hidden = state.all || rows.length <= short;
      more.textContent = `Show all ${number(rows.length)}`;
    }
    draw();
  }

  // ---- a grid of cells that arrow keys walk through ----
  // cell(index, element) prepares a cell; tell(index) is said of it; open(index) is asked for by Enter or a click.
  // Rows of a large grid get their cells when they come near the window, the others when there is nothing else to do.
  function grid(host, label, count, columns, { cell, head, tell, look, open, described }) {
    const rows = Math.ceil(count / columns);
    const root = make("div", { class: "grid", role: "grid", "aria-label": label, "aria-describedby": described || null });
    const lines = [], cells = new Array(count);
    function fill(row) {
      const line = lines[row], made = document.createDocumentFragment();
      if (cells[row * columns]) return;
      for (let index = row * columns; index < Math.min(count, (row + 1) * columns); index += 1) {
        const element = document.createElement("div");
        element.className = "c";
        element.setAttribute("role", "gridcell");
        element.tabIndex = -1;
        element.dataset.i = index;
        cell(index, element);
        cells[index] = element;
        made.append(element);
      }
      line.append(made);
    }
    const cellAt = (index) => { fill(Math.floor(index / columns)); return cells[index]; };
    for (let row = 0; row < rows; row += 1) {
      lines.push(make("div", { class: "row", role: "row" }));
      if (head) lines[row].append(make("div", { class: "head code", role: "rowheader" }, head(row * columns)));
    }
    root.append(...lines);
    if (count <= AT_ONCE) lines.forEach((_line, row) => fill(row));
    else {
      const near = new IntersectionObserver((seen) => {
        for (const each of seen) if (each.isIntersecting) { fill(lines.indexOf(each.target)); near.unobserve(each.target); }
      }, { rootMargin: "300px" });
      lines.forEach((line) => near.observe(line));
      let next = 0;
      const later = window.requestIdleCallback || ((run) => setTimeout(() => run({ timeRemaining: () => 5 }), 20));
      const rest = (idle) => {
        if (!root.isConnected) return;
        while (next < rows && idle.timeRemaining() > 2) { fill(next); next += 1; }
        if (next < rows) later(rest); else near.disconnect();
      };
      later(rest);
    }
    let current = 0;
    if (count) cellAt(0).tabIndex = 0;
    const go = (index) => cellAt(Math.max(0, Math.min(count - 1, index))).focus();
    const at = (event) => { const hit = event.target.closest(".c"); return hit ? Number(hit.dataset.i) : -1; };
    root.addEventListener("keydown", (event) => {
      const row = current - (current % columns);
      const to = {
        ArrowRight: current + 1, ArrowLeft: current - 1, ArrowDown: current + columns, ArrowUp: current - columns,
        Home: event.ctrlKey ? 0 : row, End: event.ctrlKey ? count - 1 : row + columns - 1,
        PageDown: current + 10 * columns, PageUp: current - 10 * columns,
      }[event.key];
      if (to !== undefined) {
        event.preventDefault();
        if (event.key === "ArrowDown" && to >= count && row === (rows - 1) * columns) return;
        if (event.key === "ArrowUp" && to < 0) return;
        go(to);
      } else if ((event.key === "Enter" || event.key === " ") && open) {
        event.preventDefault();
        open(current);
      }
    });
    root.addEventListener("click", (event) => { const index = at(event); if (index >= 0) { go(index); if (open) open(index); } });
    root.addEventListener("mouseleave", () => look(root.contains(document.activeElement) ? tell(current) : "", root.contains(document.activeElement) ? current : -1));
    // One cell at a time is a stop of the tab key: the one that had the focus last.
    root.addEventListener("focusin", (event) => {
      const index = at(event);
      if (index < 0) return;
      cells[current].tabIndex = -1;
      current = index;
      cells[index].tabIndex = 0;
      look(tell(index), index);
    });
    root.addEventListener("mouseover", (event) => { const index = at(event); if (index >= 0) look(tell(index), index); });
    host.replaceChildren(root);
    return { root, cells, cellAt, go };
  }

  // ---- addresses as numbers, of both families ----
  function parse(text) {
    const [address, prefix] = text.split("/");
    const six = address.includes(":");
    const bits = six ? 128 : 32;
    let value = 0n;
    if (six) {
      const [left, right] = address.split("::");
      const groups = (part) => (part ? part.split(":") : []);
      const first = groups(left), last = right === undefined ? [] : groups(right);
      const all = [...first, ...Array(Math.max(0, 8 - first.length - last.length)).fill("0"), ...last];
      if (all.length !== 8 || !all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
      for (const group of all) value = (value << 16n) | BigInt(`0x${group}`);
    } else {
      const parts = address.split(".");
      if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return null;
      for (const part of parts) value = (value << 8n) | BigInt(part);
    }
    return { value, bits, prefix: prefix === undefined ? bits : Number(prefix) };
  }

  function show(value, bits) {
    if (bits === 32) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
    const groups = Array.from({ length: 8 }, (_unused, index) => ((value >> BigInt(112 - 16 * index)) & 65535n).toString(16));
    const runs = groups.join(":").match(/(^|:)0(:0)+(:|$)/g) || [];
    const longest = runs.sort((a, b) => b.length - a.length)[0];
    return longest ? groups.join(":").replace(longest, "::") : groups.join(":");
  }

  const contains = (network, address) => network && address && network.bits === address.bits && address.prefix >= network.prefix
    && (network.value >> BigInt(network.bits - network.prefix)) === (address.value >> BigInt(network.bits - network.prefix));

  // ---- who holds the addresses: unpacked part by part ----
  let packed = null;
  const unpacked = new Map();
  async function part(index) {
    if (!unpacked.has(index)) {
      packed = packed || JSON.parse($("addresses").textContent);
      const bytes = Uint8Array.from(atob(packed[index]), (character) => character.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
      unpacked.set(index, JSON.parse(await new Response(stream).text()));
    }
    return unpacked.get(index);
  }
  const holders = async (block) => (await part(Math.floor(block / data.part)))[block % data.part];
  const unpacks = (() => { try { return Boolean(new DecompressionStream("deflate-raw")); } catch { return false; } })();
  const known = () => data.detail !== "none" && unpacks;
  const certainty = (flags) => (flags >> 1 ? data.certainties[(flags >> 1) - 1] : "");
  const whom = (row) => [row[2] < 0 ? "" : data.namespaceNames[row[2]], row[5] || ""].filter(Boolean).join("/");
  const kind = (row) => data.kinds[row[1]];
  const kindName = (row) => KIND_NAMES[kind(row)] || kind(row);

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

  // ---- the timeline ----
  const spaced = (phase) => phase.replace(/_/g, " ");
  function timeline() {
    const host = body("timeline");
    for (const each of data.procedures) {
      const undone = each.direction === "rollback";
      const going = each.over ? `Over, begun ${time(each.started)}` : `Under way since ${time(each.started)}`;
      const phase = each.over ? (undone ? ", undone" : "") : `${each.phase ? `, phase ${spaced(each.phase)}` : ""}${undone ? ", being undone" : ""}`;
      const note = make("div", { class: each.over ? "note over" : "note" }, make("p", {}, `${going}: ${each.sentence}${phase}. ${plural(each.moved_pods, "pod")} moved${each.over ? "" : " so far"}.`));
      for (const [word, command] of [["To go on", each.resume], ["To undo it", each.undo === each.resume ? null : each.undo]]) {
        if (command) note.append(make("p", {}, `${word}: `, make("code", {}, command)));
      }
      host.append(note);
    }
    bars(host);
    if (data.timeline.length) {
      host.append(make("h3", {}, "What was noted"));
      table(host, "What was noted", [
        { label: "Time", fix: true, value: (row) => time(row.at) }, { label: "Pool", fix: true, value: (row) => row.pool || "" }, { label: "What", value: (row) => row.text },
      ], data.timeline);
    }
    const workloads = data.procedures.flatMap((each) => each.moved.map((row) => ({ ...row, pool: row.back ? each.target.name : each.pool })));
    if (workloads.length) {
      host.append(make("h3", {}, "Workloads that moved"));
      table(host, "Workloads that moved", [
        { label: "Workload", value: (row) => row.owner }, { label: "Out of pool", fix: true, value: (row) => row.pool },
        { label: "How", fix: true, value: (row) => row.way }, { label: "Pods", num: true, value: (row) => row.pods },
      ], workloads);
    }
    if (data.change && data.change.moves.length) {
      host.append(make("h3", {}, "Moves: addresses given out since then"));
      table(host, "Moves: addresses given out since the earlier report", [
        { label: "Time", fix: true, value: (row) => time(row.at) || "not known" },
        { label: "Holder", value: (row) => [row.namespace, row.name].filter(Boolean).join("/") || "–" },
        { label: "Address", fix: true, value: (row) => addressOf([row.block], row.ordinal), cell: (row) => make("span", { class: "code" }, addressOf([row.block], row.ordinal)) },
        { label: "Pool", fix: true, value: (row) => row.pool || "none" },
        { label: "Same name before in", fix: true, value: (row) => row.from || "" },
      ], data.change.moves, null, 10);
      const more = data.change.addresses.new - data.change.moves.length;
      if (more > 0) host.append(make("p", { class: "quiet" }, `And ${number(more)} earlier ones.`));
    }
  }

  function bars(host) {
    const { start, seconds, pools: series, older, unknown } = data.activity;
    const rest = [older ? `${number(older)} are older` : "", unknown ? `of ${number(unknown)} nobody noted when` : ""].filter(Boolean).join(", ");
    const since = `Addresses in use that were given out since ${time(start)}`;
    if (!series.length) { host.append(make("p", {}, `${since}: none${rest ? `; ${rest}` : ""}.`)); return; }
    const count = series[0].counts.length;
    const sums = Array.from({ length: count }, (_unused, at) => series.reduce((sum, each) => sum + each.counts[at], 0));
    const top = Math.max(...sums), total = sums.reduce((a, b) => a + b, 0);
    const at = (index) => new Date(Date.parse(start) + index * seconds * 1000).toISOString().slice(0, 19) + "Z";
    const width = 960, height = 200, left = 50, bottom = 24, above = 18;
    const svg = (tag, values, text) => { const made = document.createElementNS("http://www.w3.org/2000/svg", tag); for (const [key, value] of Object.entries(values)) made.setAttribute(key, value); if (text !== undefined) made.textContent = text; return made; };
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${since}: ${number(total)}, at most ${number(top)} in ${seconds} seconds. The figures are in the table below.` });
    const scale = (height - bottom - above) / top, step = (width - left) / count;
    for (const value of top > 1 ? [0, top / 2, top] : [0, top]) {
      const y = height - bottom - value * scale;
      picture.append(svg("line", { x1: left, x2: width, y1: y, y2: y }), svg("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, number(Math.round(value))));
    }
    sums.forEach((_sum, index) => {
      let y = height - bottom;
      for (const each of series) {
        const tall = each.counts[index] * scale;
        if (!tall) continue;
        y -= tall;
        const bar = paint(svg("rect", { x: left + index * step, y, width: Math.max(1, Math.min(step - 1, 40)), height: tall }), data.poolNames.indexOf(each.name));
        bar.append(svg("title", {}, `${time(at(index))}, ${each.name}: ${number(each.counts[index])}`));
        picture.append(bar);
      }
    });
    // When the phases of procedures began.
    const first = Date.parse(start);
    let last = -Infinity;
    for (const row of data.timeline) {
      if (row.what !== "phase" && row.what !== "started") continue;
      const x = left + ((Date.parse(row.at) - first) / 1000 / seconds) * step;
      if (!(x >= left && x <= width)) continue;
      const line = svg("line", { class: "moment", x1: x, x2: x, y1: above, y2: height - bottom });
      line.append(svg("title", {}, `${time(row.at)}, ${row.text}`));
      picture.append(line);
      if (row.what !== "phase" || x < last + 110) continue;
      last = x;
      picture.append(svg("text", { class: "moment", x: x > width - 110 ? x - 4 : x + 4, y: above + 4, "text-anchor": x > width - 110 ? "end" : "start" }, spaced(row.text.replace(/^phase /, ""))));
    }
    const daily = seconds >= 86400 || seconds * count > 86400;
    const label = (index) => (daily ? time(at(index)).slice(0, 16) : time(at(index)).slice(11));
    [0, Math.floor(count / 2), count - 1].filter((index, place, all) => all.indexOf(index) === place).forEach((index) => {
      picture.append(svg("text", { x: left + index * step, y: height - 6, "text-anchor": index && index === count - 1 ? "end" : "start" }, label(index)));
    });
    host.append(make("p", {}, `${since}: ${number(total)}${rest ? `; ${rest}` : ""}.`));
    const legend = make("p", {});
    for (const each of series) legend.append(swatch(data.poolNames.indexOf(each.name)), `${each.name} `, "\u2003");
    const list = make("div", { class: "body" });
    const rows = sums.flatMap((sum, index) => (sum ? [{ at: at(index), index }] : []));
    const details = make("details", {}, make("summary", {}, "The figures as a table"), list);
    details.addEventListener("toggle", () => {
      if (!details.open || list.childElementCount) return;
      table(list, since, [{ label: "From", fix: true, value: (row) => time(row.at) }, ...series.map((each) => ({ label: each.name, num: true, value: (row) => each.counts[row.index] }))], rows);
    });
    host.append(legend, picture, details);
  }

  change();
  overview();
  findings();
  pools();
  map();
  nodes();
  namespaces();
  timeline();
  document.documentElement.dataset.ready = "yes";
})();
