// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

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
