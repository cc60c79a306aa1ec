# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from pathlib import Path

# The tests share plain modules (playbook.py here, twin_fixture.py one level up).
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
