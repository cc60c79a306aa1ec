# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import stat
import sys
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import transport
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi, connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    BadConfiguration,
    Forbidden,
    Unauthorized,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS

from .conftest import Answer, ScriptedServer

POOL = "/apis/crd.projectcalico.org/v1/ippools/p"
FOUND = Answer(200, {"metadata": {"name": "p"}})
REFUSED = Answer(401, {"kind": "Status", "message": "Unauthorized", "reason": "Unauthorized"})


def kubeconfig(server: str, user: dict[str, t.Any] | None = None, name: str = "one") -> dict[str, t.Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": user or {"token": f"token-{name}"}}],
    }


def write(path: Path, content: t.Any) -> str:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def ask(options: ConnectionOptions) -> None:
    client = connect(options)
    try:
        client.get(IP_POOLS, "p")
    finally:
        client.close()


class TestSources:
    @pytest.fixture(autouse=True)
    def _found(self, server: ScriptedServer) -> None:
        server.on("GET", POOL, FOUND)

    def token(self, server: ScriptedServer) -> str:
        return server.asked[-1].headers["authorization"]

    def test_a_path(self, server: ScriptedServer, tmp_path: Path) -> None:
        ask(ConnectionOptions(kubeconfig=write(tmp_path / "config", kubeconfig(server.url))))
        assert self.token(server) == "Bearer token-one"

    def test_a_dict(self, server: ScriptedServer) -> None:
        ask(ConnectionOptions(kubeconfig=kubeconfig(server.url)))
        assert self.token(server) == "Bearer token-one"

    @pytest.mark.parametrize("joined", [True, False])
    def test_several_paths_are_merged(self, server: ScriptedServer, tmp_path: Path, joined: bool) -> None:
        paths = [
            write(tmp_path / "a", kubeconfig("http://192.0.2.1:1", name="one")),
            str(tmp_path / "does-not-exist"),
            write(tmp_path / "b", kubeconfig(server.url, name="two")),
        ]
        ask(ConnectionOptions(kubeconfig=os.pathsep.join(paths) if joined else paths, context="two"))
        assert self.token(server) == "Bearer token-two"

    def test_kubectls_own_places(self, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", write(tmp_path / "config", kubeconfig(server.url)))
        ask(ConnectionOptions())
        assert self.token(server) == "Bearer token-one"

    def test_explicit_options_win(self, server: ScriptedServer) -> None:
        ask(ConnectionOptions(kubeconfig=kubeconfig("http://192.0.2.1:1"), host=server.url, api_key="mine"))
        assert self.token(server) == "Bearer mine"

    def test_they_win_with_every_request(self, server: ScriptedServer) -> None:
        """The package sets everything that the kubeconfig says anew whenever it looks for the token."""
        client = connect(ConnectionOptions(kubeconfig=kubeconfig("http://192.0.2.1:1"), host=server.url))
        for _request in range(3):
            client.get(IP_POOLS, "p")
            assert self.token(server) == "Bearer token-one"
        client.close()

    def test_an_exec_plugin(self, server: ScriptedServer, tmp_path: Path) -> None:
        ask(ConnectionOptions(kubeconfig=kubeconfig(server.url, exec_user(tmp_path, "from-plugin"))))
        assert self.token(server) == "Bearer from-plugin"

    def test_refused_credentials_are_read_again_once(self, server: ScriptedServer, tmp_path: Path) -> None:
        path = tmp_path / "config"
        write(path, kubeconfig(server.url, {"token": "old"}))
        client = connect(ConnectionOptions(kubeconfig=str(path)))
        write(path, kubeconfig(server.url, {"token": "new"}))
        server.on("GET", POOL, Answer(401, {"message": "Unauthorized"}), FOUND)
        client.get(IP_POOLS, "p")
        client.close()
        assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer old", "Bearer new"]


class TestRefusedLater:
    """Credentials that were good before, in the middle of something long."""

    @pytest.fixture(autouse=True)
    def _at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "FIRST_PAUSE", 0.001)
        monkeypatch.setattr(transport, "LONGEST_PAUSE", 0.002)

    def sent(self, server: ScriptedServer) -> list[str]:
        return [asked.headers["authorization"].partition(" ")[2] for asked in server.asked]

    @pytest.fixture
    def plugin(self, server: ScriptedServer, tmp_path: Path) -> t.Iterator[tuple[HttpApi, Path]]:
        """A client that has been let in with what a plugin said, and the plugin."""
        server.on("GET", POOL, FOUND)
        client = connect(ConnectionOptions(kubeconfig=kubeconfig(server.url, exec_user(tmp_path, "old"))))
        client.get(IP_POOLS, "p")
        yield client, tmp_path
        client.close()

    def test_a_new_token_from_the_plugin(self, server: ScriptedServer, plugin: tuple[HttpApi, Path]) -> None:
        client, directory = plugin
        exec_user(directory, "new")
        server.on("GET", POOL, REFUSED, FOUND)
        client.get(IP_POOLS, "p")
        assert self.sent(server) == ["old", "old", "new"]

    def test_a_plugin_that_fails_once(self, server: ScriptedServer, plugin: tuple[HttpApi, Path]) -> None:
        client, directory = plugin
        exec_user(directory, "new", fail_until=2)
        server.on("GET", POOL, REFUSED, REFUSED, FOUND)
        client.get(IP_POOLS, "p")
        assert self.sent(server) == ["old", "old", "old", "new"]

    def test_a_plugin_that_goes_on_failing(self, server: ScriptedServer, plugin: tuple[HttpApi, Path]) -> None:
        client, directory = plugin
        exec_user(directory, "new", fail=True)
        server.on("GET", POOL, REFUSED)
        with pytest.raises(BadConfiguration, match="credential plugin gave no credentials: .*the login has expired"):
            client.get(IP_POOLS, "p")
        assert len(server.asked) == 1 + transport.REFUSALS

    def test_a_server_that_does_not_know_the_user_for_a_moment(self, server: ScriptedServer) -> None:
        """As one whose provider of identities is slow; that of somebody who never was let in is final."""
        client = connect(ConnectionOptions(kubeconfig=kubeconfig(server.url)))
        server.on("GET", POOL, REFUSED, FOUND)
        with pytest.raises(Unauthorized):
            client.get(IP_POOLS, "p")
        assert len(server.asked) == 1
        client.get(IP_POOLS, "p")
        server.on("GET", POOL, REFUSED, REFUSED, FOUND)
        client.get(IP_POOLS, "p")
        server.on("GET", POOL, REFUSED)
        with pytest.raises(Unauthorized):
            client.get(IP_POOLS, "p")
        client.close()

    def test_a_server_that_was_just_started(self, server: ScriptedServer) -> None:
        """It may not have read its roles yet. Long after a lost connection, a right that is missing is missing."""
        client = connect(ConnectionOptions(kubeconfig=kubeconfig(server.url)))
        no_right = Answer(403, {"kind": "Status", "message": "forbidden", "reason": "Forbidden"})
        server.on("GET", POOL, FOUND, Answer(cut=True), no_right, FOUND)
        client.get(IP_POOLS, "p")
        client.get(IP_POOLS, "p")
        assert len(server.asked) == 4
        client._transport._lost_at -= transport.SETTLING
        server.on("GET", POOL, no_right)
        with pytest.raises(Forbidden):
            client.get(IP_POOLS, "p")
        assert len(server.asked) == 5
        client.close()

    def test_a_watch_goes_the_same_way(self, server: ScriptedServer, plugin: tuple[HttpApi, Path]) -> None:
        client, directory = plugin
        exec_user(directory, "new", fail_until=2)
        pools = POOL.rpartition("/")[0]
        server.on("GET", pools, REFUSED, REFUSED, Answer(200, lines=[]))
        assert list(client.watch(IP_POOLS, resource_version="1")) == []


def exec_user(directory: Path, token: str, fail: bool = False, fail_until: int = 0) -> dict[str, t.Any]:
    script = directory / "plugin"
    (directory / "calls").unlink(missing_ok=True)
    credential = (
        f'{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{{"token":"{token}"}}}}'
    )
    script.write_text(
        f"#!{sys.executable}\nimport sys\n"
        # It notes that it was called.
        f"open({str(directory / 'calls')!r}, 'a').write('.')\n"
        f"if {fail} or len(open({str(directory / 'calls')!r}).read()) < {fail_until}:\n"
        "    sys.exit('the login has expired')\n"
        f"print({credential!r})\n",
        encoding="utf-8",
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(script),
            "interactiveMode": "Never",
        }
    }


class TestMistakes:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("clusters: [\n", "is not valid YAML: line 2, column 1"),
            ("- a\n- b\n", "is not a kubeconfig: it holds a list where clusters"),
            ("hello", "is not a kubeconfig: it holds plain text where"),
            ("", "is not a kubeconfig: it holds nothing where"),
            ("a: b\n", "is not a kubeconfig: it has no contexts"),
            ("\x00\x01", "is not valid YAML"),
        ],
    )
    def test_not_a_kubeconfig(self, tmp_path: Path, content: str, expected: str) -> None:
        path = write(tmp_path / "config", content)
        with pytest.raises(BadConfiguration) as caught:
            connect(ConnectionOptions(kubeconfig=path))
        assert caught.value.message.startswith(f"The kubeconfig {path} {expected}")

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(BadConfiguration, match="nowhere does not exist: give the path"):
            connect(ConnectionOptions(kubeconfig=str(tmp_path / "nowhere")))

    def test_a_directory(self, tmp_path: Path) -> None:
        with pytest.raises(BadConfiguration, match=r"cannot be read: Is a directory"):
            connect(ConnectionOptions(kubeconfig=str(tmp_path)))

    def test_unknown_context_lists_the_contexts(self, tmp_path: Path) -> None:
        path = write(tmp_path / "config", kubeconfig("https://192.0.2.1:6443"))
        with pytest.raises(BadConfiguration, match=r"has no context 'prod': it has one\.$"):
            connect(ConnectionOptions(kubeconfig=path, context="prod"))

    def test_no_current_context(self) -> None:
        content = kubeconfig("https://192.0.2.1:6443")
        del content["current-context"]
        with pytest.raises(BadConfiguration, match="has no current-context: set the option context to one of one"):
            connect(ConnectionOptions(kubeconfig=content))

    def test_context_of_an_unknown_cluster(self) -> None:
        content = kubeconfig("https://192.0.2.1:6443")
        content["clusters"][0]["name"] = "other"
        with pytest.raises(BadConfiguration, match="context 'one' names the cluster 'one', which is not among"):
            connect(ConnectionOptions(kubeconfig=content))

    def test_missing_certificate_file(self, tmp_path: Path) -> None:
        with pytest.raises(BadConfiguration, match="ca_cert .*nowhere does not exist: give the path of a PEM file"):
            connect(ConnectionOptions(host="https://192.0.2.1", ca_cert=str(tmp_path / "nowhere")))

    def test_host_without_scheme(self) -> None:
        with pytest.raises(BadConfiguration, match=r"host '192.0.2.1:6443' is not a URL: write it like"):
            connect(ConnectionOptions(host="192.0.2.1:6443"))

    def test_nothing_configured(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        with pytest.raises(BadConfiguration, match="No way to a cluster is configured"):
            connect(ConnectionOptions())

    def test_failing_exec_plugin(self, tmp_path: Path) -> None:
        content = kubeconfig("https://192.0.2.1:6443", exec_user(tmp_path, "x", fail=True))
        with pytest.raises(BadConfiguration, match="credential plugin gave no credentials: .*the login has expired"):
            connect(ConnectionOptions(kubeconfig=content))

    def test_a_failing_exec_plugin_is_nothing_to_other_threads(self, tmp_path: Path) -> None:
        """An inventory of many clusters loads many kubeconfigs at once."""
        (tmp_path / "good").mkdir()
        good = kubeconfig("https://192.0.2.1:6443", exec_user(tmp_path / "good", "x"))
        script = tmp_path / "good/plugin"
        began, over = tmp_path / "began", tmp_path / "over"
        for fifo in (began, over):
            os.mkfifo(fifo)
        wait = f"open({str(began)!r}, 'w').close(); open({str(over)!r}).close()\n"
        script.write_text(script.read_text(encoding="utf-8").replace("import sys\n", f"import sys\n{wait}"))
        with ThreadPoolExecutor(1) as other:
            connected = other.submit(connect, ConnectionOptions(kubeconfig=good))
            began.read_text(encoding="utf-8")
            with pytest.raises(BadConfiguration, match="the login has expired"):
                connect(
                    ConnectionOptions(kubeconfig=kubeconfig("https://192.0.2.2", exec_user(tmp_path, "x", fail=True)))
                )
            over.write_text("", encoding="utf-8")
            connected.result(30).close()

    def test_secrets_do_not_show(self) -> None:
        options = ConnectionOptions(kubeconfig=kubeconfig("https://192.0.2.1", {"token": "hush"}), api_key="hush")
        assert "hush" not in repr(options)
