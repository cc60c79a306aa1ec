// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

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
