// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

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
