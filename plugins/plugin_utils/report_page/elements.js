// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

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
