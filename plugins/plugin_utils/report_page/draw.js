// Copyright (c) 2026, calico_ops contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

change();
overview();
findings();
pools();
map();
nodes();
namespaces();
timeline();
document.documentElement.dataset.ready = "yes";
