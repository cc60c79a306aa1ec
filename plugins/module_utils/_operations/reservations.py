# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Show, write and delete reservations of addresses (spec ipam-engine.md §8.3, spec ippool.md §3.5)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Unreachable
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    AlreadyInStore,
    ConfigurationStore,
    Datastore,
    NotFoundInStore,
    Stored,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservation, Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation_review import (
    held_addresses,
    reservation_warnings,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step

ATTEMPTS = 5


@dataclass(frozen=True)
class ReservationWrite:
    """A plan, and the reservation as it is after it; None when there is none."""

    plan: Plan
    reservation: t.Optional[Reservation]


def shown_reservation(reservation: Reservation) -> t.Dict[str, t.Any]:
    """A reservation in a module's result."""
    return {"name": reservation.name, "spec": {"reservedCIDRs": list(reservation.cidrs)}}


def reservations_info(
    configuration: ConfigurationStore, store: Datastore, name: t.Optional[str] = None
) -> t.List[t.Dict[str, t.Any]]:
    """All reservations by name, or the one called ``name``, with what they cover; empty when there is none."""
    found = [stored.value for stored in configuration.list_reservations()]
    chosen = [reservation for reservation in found if name in (None, reservation.name)]
    if not chosen:
        return []
    pools = store.pools()
    blocks = [stored.value for stored in store.list_blocks()]
    return [
        {
            **shown_reservation(reservation),
            "addresses": _size(networks),
            "in_use": len(held_addresses(networks, blocks)),
            "pools": [pool.name for pool in pools if any(pool.cidr.overlaps(network) for network in networks)],
            "ignored": list(reservation.malformed()),
        }
        for reservation, networks in ((reservation, reservation.networks()) for reservation in chosen)
    ]


def ensure_reservation(
    configuration: ConfigurationStore, store: Datastore, wanted: Reservation, *, check_mode: bool
) -> ReservationWrite:
    """Let the reservation reserve exactly what ``wanted`` lists; with ``check_mode`` only say how.

    One that reserves the same in another spelling or order is left as it is.
    """

    def attempt() -> t.Tuple[Plan, Reservation, t.Callable[[], t.Any]]:
        stored = _read(configuration, wanted.name)
        if stored is not None and _same(stored.value, wanted):
            return Plan(), stored.value, lambda: None
        step = Step(
            "create" if stored is None else "update",
            f"IPReservation {wanted.name}",
            "it does not exist" if stored is None else "reservedCIDRs differs from what is wanted",
            before=None if stored is None else shown_reservation(stored.value)["spec"],
            after=shown_reservation(wanted)["spec"],
            undo=f"delete IPReservation {wanted.name}" if stored is None else "set reservedCIDRs back",
        )
        plan = Plan((step,), _warnings(configuration, store, wanted))
        if stored is None:
            return plan, wanted, lambda: configuration.create_reservation(wanted)
        return plan, wanted, lambda: configuration.update_reservation(stored, wanted)

    plan, reservation = _carry_out(wanted.name, attempt, check_mode)
    return ReservationWrite(plan, reservation)


def delete_reservation(configuration: ConfigurationStore, name: str, *, check_mode: bool) -> ReservationWrite:
    """Let there be no reservation of that name; its addresses can be handed out from then on."""

    def attempt() -> t.Tuple[Plan, None, t.Callable[[], t.Any]]:
        stored = _read(configuration, name)
        if stored is None:
            return Plan(), None, lambda: None
        step = Step(
            "delete",
            f"IPReservation {name}",
            "it is not wanted",
            before=shown_reservation(stored.value)["spec"],
            undo=f"create IPReservation {name} again",
        )
        return Plan((step,)), None, lambda: configuration.delete_reservation(stored)

    plan, reservation = _carry_out(name, attempt, check_mode)
    return ReservationWrite(plan, reservation)


T = t.TypeVar("T")


def _carry_out(
    name: str, attempt: t.Callable[[], t.Tuple[Plan, T, t.Callable[[], t.Any]]], check_mode: bool
) -> t.Tuple[Plan, T]:
    """Plan and write; when somebody else wrote in between, plan anew, a bounded number of times."""
    sent: t.Optional[Plan] = None
    for _attempt in range(ATTEMPTS):
        plan, value, write = attempt()
        if not plan.changed or check_mode:
            return (plan if sent is None else sent), value
        try:
            write()
        except (AlreadyInStore, UpdateConflict, NotFoundInStore):
            continue
        except Unreachable as error:
            if not error.maybe_done:
                raise
            sent = plan
            continue
        return plan, value
    raise Refused(
        f"IPReservation {name!r} was changed by someone else {ATTEMPTS} times while it was being written; find out who "
        "changes it, then run this again."
    )


def _read(configuration: ConfigurationStore, name: str) -> t.Optional[Stored[Reservation]]:
    try:
        return configuration.get_reservation(name)
    except NotFoundInStore:
        return None


def _same(stored: Reservation, wanted: Reservation) -> bool:
    return not stored.malformed() and set(stored.networks()) == set(wanted.networks())


def _warnings(configuration: ConfigurationStore, store: Datastore, wanted: Reservation) -> t.Tuple[str, ...]:
    before: t.List[Network] = []
    after = list(wanted.networks())
    for stored in configuration.list_reservations():
        before += stored.value.networks()
        if stored.value.name != wanted.name:
            after += stored.value.networks()
    return reservation_warnings(before, after, store.pools(), (stored.value for stored in store.list_blocks()))


def _size(networks: t.Iterable[Network]) -> int:
    everything = Reservations(networks)
    return sum(everything.count(Network(version, 0, 0)) for version in (4, 6))
