# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Show and change the cluster-wide IPAM settings (spec ipam-engine.md §14)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Unreachable
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.capacity import DEFAULT_BLOCKS_PER_HOST
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    AlreadyInStore,
    ConfigurationStore,
    NotFoundInStore,
    Stored,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import (
    SETTINGS_FIELDS,
    Settings,
    check_settings,
    settings_problems,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings_review import (
    Concern,
    SettingsFacts,
    review_settings,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step

ATTEMPTS = 5

TARGET = "IPAM settings default"

#: Option of our modules -> field of ``Settings``.
OPTIONS: t.Dict[str, str] = {
    "strict_affinity": "strict_affinity",
    "auto_allocate_blocks": "auto_allocate_blocks",
    "max_blocks_per_host": "max_blocks_per_host",
    "kubevirt_vm_address_persistence": "vm_address_persistence",
    "ip_cooldown_seconds": "cooldown_seconds",
}

ReadFacts = t.Callable[[Settings, Settings], SettingsFacts]


@dataclass(frozen=True)
class SettingsWrite:
    """A plan, and the settings as they are after it; ``exists`` tells whether an object holds them."""

    plan: Plan
    settings: Settings
    exists: bool


def settings_info(configuration: ConfigurationStore) -> t.Dict[str, t.Any]:
    """The settings as Calico reads them, where each comes from, and what is wrong with them.

    Sources: ``stored``; ``default`` (not stored, so Calico's default holds); ``missing`` (the
    object lacks a member it should have, and Calico reads that as false, not as the default).
    """
    stored = _read(configuration)
    settings = Settings() if stored is None else stored.value
    default = Settings().shown()
    sources: t.Dict[str, str] = {}
    for member, value in settings.shown().items():
        absent = stored is None or member in settings.unset
        sources[member] = "stored" if not absent else "default" if value == default[member] else "missing"
    return {
        "exists": stored is not None,
        "settings": settings.shown(),
        "sources": sources,
        "block_limit": settings.max_blocks_per_host or DEFAULT_BLOCKS_PER_HOST,
        "problems": list(settings_problems(settings)),
    }


def ensure_settings(
    configuration: ConfigurationStore,
    wanted: t.Mapping[str, t.Any],
    read_facts: ReadFacts,
    *,
    waivers: t.Collection[str] = (),
    check_mode: bool,
) -> SettingsWrite:
    """Bring the settings in ``wanted`` (fields of ``Settings``) about; with ``check_mode`` only say how.

    InvalidInput for values Calico's client refuses, Refused for a change that would harm this
    cluster and that ``waivers`` do not name: all before anything is written.
    """
    sent: t.Optional[Plan] = None
    for _attempt in range(ATTEMPTS):
        stored = _read(configuration)
        before = Settings() if stored is None else stored.value
        after = replace(before, **wanted)
        _check(after, wanted)
        if after == before:
            return SettingsWrite(sent or Plan(), before, stored is not None)
        warnings = _accepted(review_settings(before, after, read_facts(before, after)), waivers)
        plan = Plan((_step(stored, before, after),), warnings)
        if check_mode:
            return SettingsWrite(plan, after, True)
        try:
            if stored is None:
                written = configuration.create_settings(after)
            else:
                written = configuration.update_settings(stored, after)
        except (AlreadyInStore, UpdateConflict, NotFoundInStore):
            continue  # Somebody else wrote in between: what we decided on is no longer true.
        except Unreachable as error:
            if not error.maybe_done:
                raise
            sent = plan
            continue
        return SettingsWrite(plan, written.value, True)
    raise Refused(
        f"The IPAM settings were changed by someone else {ATTEMPTS} times while they were being written; find out who "
        "changes them, then run this again."
    )


def _read(configuration: ConfigurationStore) -> t.Optional[Stored[Settings]]:
    try:
        return configuration.get_settings()
    except NotFoundInStore:
        return None


def _check(after: Settings, wanted: t.Mapping[str, t.Any]) -> None:
    try:
        check_settings(after)
    except InvalidInput as error:
        ours = {theirs: name for name, theirs in SETTINGS_FIELDS.items()}.get(error.field, "")
        if ours in wanted:
            raise
        option = next(option for option, name in OPTIONS.items() if name == ours)
        raise Refused(
            f"{error.message} This {error.field} is what is stored now: give {option} as well.", field=error.field
        ) from None


def _accepted(concerns: t.Sequence[Concern], waivers: t.Collection[str]) -> t.Tuple[str, ...]:
    """The concerns as warnings; Refused for the first one that is a refusal nobody waived."""
    for concern in concerns:
        if concern.refused and concern.waiver not in waivers:
            hint = f" To do it all the same, give waivers: [{concern.waiver}]." if concern.waiver else ""
            raise Refused(concern.message + hint, waiver=concern.waiver or None)
    return tuple(concern.message for concern in concerns)


def _step(stored: t.Optional[Stored[Settings]], before: Settings, after: Settings) -> Step:
    old, new = before.shown(), after.shown()
    names = [member for member in new if old[member] != new[member]]
    was = ", ".join(f"{member} {_text(old[member])}" for member in names)
    return Step(
        "update" if stored is not None else "create",
        TARGET,
        f"{', '.join(names)} {'differs' if len(names) == 1 else 'differ'} from what is wanted",
        before=None if stored is None else old,
        after=new,
        undo=f"set back {was}",
    )


def _text(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
