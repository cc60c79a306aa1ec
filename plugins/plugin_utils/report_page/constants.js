// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

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
