# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages of a list: consistent whatever is written between them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS, NAMESPACES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.listing import decode_token, encode_token
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import ListOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault


def server() -> ApiServer:
    api = ApiServer(ObjectStore(), VirtualClock())
    LocalApi(api).create(NAMESPACES, {"metadata": {"name": "shop"}})
    return api


@given(
    st.sets(st.integers(0, 30), max_size=15),
    st.integers(1, 5),
    st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=20),
)
@settings(deadline=None, max_examples=60)
def test_all_pages_are_of_one_moment(present: set[int], limit: int, writes: list[tuple[bool, int]]) -> None:
    api = server()
    local = LocalApi(api)
    for number in present:
        local.create(CONFIG_MAPS, {"metadata": {"name": f"m{number:02}"}}, "shop")
    wanted = [f"m{number:02}" for number in sorted(present)]
    pending = list(writes)
    page = api.list(CONFIG_MAPS, "shop", ListOptions(limit=limit))
    version = page.resource_version
    found = [entry.object["metadata"]["name"] for entry in page.entries]
    while page.continue_token:
        assert page.remaining == len(wanted) - len(found)
        for create, number in pending[:2]:
            name = f"m{number:02}"
            exists = api.objects.get(CONFIG_MAPS, "shop", name) is not None
            if create and not exists:
                local.create(CONFIG_MAPS, {"metadata": {"name": name}}, "shop")
            elif exists:
                local.delete(CONFIG_MAPS, name, "shop")
        del pending[:2]
        page = api.list(CONFIG_MAPS, "shop", ListOptions(limit=limit, continue_token=page.continue_token))
        assert page.resource_version == version
        found += [entry.object["metadata"]["name"] for entry in page.entries]
    assert found == wanted
    assert page.remaining is None


def test_tokens_come_back() -> None:
    assert decode_token(encode_token(42, "shop/web-1")) == (42, "shop/web-1")
    assert decode_token(encode_token(-1, "a")) == (-1, "a")


@pytest.mark.parametrize("token", ["garbled", "!!", "eyJ2IjoiMSJ9", "e30"])
def test_garbled_tokens(token: str) -> None:
    with pytest.raises(Fault, match="invalid continue token"):
        decode_token(token)


def test_an_expired_token_comes_with_one_for_the_rest() -> None:
    api = server()
    for number in range(4):
        LocalApi(api).create(CONFIG_MAPS, {"metadata": {"name": f"m{number}"}}, "shop")
    page = api.list(CONFIG_MAPS, "shop", ListOptions(limit=2))
    LocalApi(api).delete(CONFIG_MAPS, "m3", "shop")
    api.objects.compact()
    with pytest.raises(Fault) as caught:
        api.list(CONFIG_MAPS, "shop", ListOptions(limit=1, continue_token=page.continue_token))
    assert (caught.value.code, caught.value.reason) == (410, "Expired")
    token = caught.value.body["metadata"]["continue"]
    rest = api.list(CONFIG_MAPS, "shop", ListOptions(limit=5, continue_token=token))
    assert [entry.object["metadata"]["name"] for entry in rest.entries] == ["m2"]
