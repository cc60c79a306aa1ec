# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Sphinx shows the guides and what antsibull-docs made of the modules and roles; ``make docsite`` runs it."""

from __future__ import annotations

project = "calico_ops.ipam"
copyright = "2026, calico_ops contributors"
title = html_title = "calico_ops.ipam"
html_short_title = "calico_ops.ipam"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
root_doc = "index"
# Whoever writes `file.md#a-heading` means the anchor that GitHub makes of the heading.
myst_heading_anchors = 4
pygments_style = "ansible"
highlight_language = "text"

html_theme = "sphinx_ansible_theme"
html_show_sphinx = False
html_use_smartypants = False
html_theme_options = {
    "display_version": False,
    "documentation_home_url": "",
    "topbar_links": {},
    "vcs_pageview_mode": "edit",
}
html_context = {"display_github": False}

# The site is built without a network, so links into ansible-core's own documentation stay text.
intersphinx_mapping: dict[str, object] = {}
nitpicky = False
suppress_warnings = ["ref.ref", "ref.python"]
