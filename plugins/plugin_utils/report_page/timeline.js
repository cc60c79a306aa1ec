// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

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
