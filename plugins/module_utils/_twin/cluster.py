# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The whole twin in one object: store, API server, controllers, Calico, recorder, HTTP.

``boot()`` brings the cluster to life in virtual time, ``start()`` does that and serves it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import typing as t
from datetime import datetime, timedelta
from pathlib import Path

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS, NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.aggregator import Aggregator
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.apiservices import ApiServices
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import Tokens
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.behaviour import Behaviour
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_install import (
    apiserver_objects,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_server import AggregatedServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.calico_node import CalicoNodes
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.cni import CalicoCni
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.etcd_datastore import EtcdDatastore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.etcd_nodes import EtcdNodes
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.etcd_translation import CONFIG, ENDPOINTS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.kube_controllers import KubeControllers
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.operator import USER as TIGERA_OPERATOR
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.operator import TigeraOperator
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.operator_install import with_operator
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import check_installation, places_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.pool_controller import PoolController
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.tunnels import Tunnels
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.control import PREFIX, Control
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.eviction import evict
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.faults import FaultInjector
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.http import HttpServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.loading import (
    carry_out_afterwards,
    load_scenario,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import Answer, SubresourceCall
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.pki import open_pki
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.process import replace_file
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.rbac import Authorizer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.recorder import Recorder
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import Scenario
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.schema import SchemaRegistry
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.settling import unsettled
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.users import (
    create_roles,
    known_tokens,
    register,
    write_kubeconfigs,
)

CALICO_NODE = "system:serviceaccount:kube-system:calico-node"
CALICO_CNI = "system:serviceaccount:kube-system:calico-cni-plugin"
KUBE_CONTROLLERS = "system:serviceaccount:kube-system:calico-kube-controllers"

_LOADED = "scenario"
# Real seconds between two notes of the virtual time; after a crash time goes on from the last one.
_CLOCK_PERIOD = 1.0
# Virtual seconds between two looks into Calico's etcd, where nobody follows it.
_LOOK = 0.5


class Twin:
    """A cluster in one process.

    ``data_dir`` None keeps everything in memory. ``speed`` None stops the clock: only
    ``clock.advance()`` moves it then, and there is no HTTP. ``seed`` None takes the scenario's; a
    data directory keeps the seed it was made with. ``installation`` is how Calico is installed, see
    ``calico/places.py``; None takes the data directory's, or else the scenario's. ``etcd_endpoints`` lead to
    the etcd of installation etcd; without them the twin starts one. Raises ``InvalidInput`` for an
    installation that the twin cannot be or the data directory is not.
    """

    def __init__(
        self,
        data_dir: Path | None,
        scenario: Scenario,
        *,
        speed: float | None = 20.0,
        seed: int | None = None,
        port: int = 0,
        rbac: bool = False,
        installation: str | None = None,
        operator: bool = False,
        etcd_endpoints: t.Sequence[str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.scenario = scenario
        self.port = port
        self.rbac = rbac
        if data_dir is not None:
            data_dir.mkdir(parents=True, exist_ok=True)
        self.objects = ObjectStore(str(data_dir / "objects.sqlite") if data_dir is not None else None)
        stored_seed = self.objects.meta("seed")
        self.operator = operator
        try:
            self.installation = self._installation(installation)
        except InvalidInput:
            self.objects.close()
            raise
        self.places = places_of(self.installation)
        self.seed = int(stored_seed) if stored_seed else scenario.seed if seed is None else seed
        self.clock = VirtualClock(self._start_of_time(speed), speed, self.seed)
        self.server = ApiServer(self.objects, self.clock, schemas=SchemaRegistry(self.objects))
        self.apiservices = ApiServices(LocalApi(self.server, "system:apiserver"), self.objects, self.clock)
        self.aggregator: Aggregator | None = None
        if self.installation == "apiserver":
            self.server.aggregate(AggregatedServer(self.server))
            apiserver = LocalApi(self.server, "system:apiserver")
            self.aggregator = Aggregator(apiserver, self.objects, self.server.served, self.clock)
        self.datastore: EtcdDatastore | None = None
        if self.places.etcd:
            directory = data_dir / "etcd" if data_dir is not None else None
            if directory is not None and self.objects.meta(_LOADED) is None:
                # What a process has left there that was killed while it loaded a scenario.
                shutil.rmtree(directory, ignore_errors=True)
            try:
                self.datastore = EtcdDatastore(directory, etcd_endpoints, self.objects, self.clock, self.places)
            except IpamError:
                self.objects.close()
                raise
        self.recorder = Recorder(self.objects, self.clock, self.places)
        self.faults = FaultInjector()
        self._wire()
        self._clock_timer: asyncio.TimerHandle | None = None
        self._http: HttpServer | None = None
        self.kubeconfig_path: Path | None = None

    def _installation(self, asked: str | None) -> str:
        stored = self.objects.meta("installation") or ("crd_v1" if self.objects.meta(_LOADED) else None)
        installation = stored or asked or self.scenario.installation
        check_installation(asked or installation, self.operator)
        if asked is not None and asked != installation:
            raise InvalidInput(
                f"The data directory {self.data_dir} holds installation {installation}, not {asked}: "
                "take another data directory, or delete this one to begin anew.",
                "installation",
                asked,
            )
        if stored and self.operator != (self.objects.meta("operator") == "true"):
            there, wanted = ("without", "with") if self.operator else ("with", "without")
            raise InvalidInput(
                f"The data directory {self.data_dir} holds a cluster {there} the Tigera operator, not {wanted} it: "
                "take another data directory, or delete this one to begin anew.",
                "operator",
                self.operator,
            )
        return installation

    def _wire(self) -> None:
        timings, objects, clock, places = self.scenario.timings, self.objects, self.clock, self.places
        node_api, cni_api = LocalApi(self.server, CALICO_NODE), LocalApi(self.server, CALICO_CNI)
        controllers_api = LocalApi(self.server, KUBE_CONTROLLERS)
        etcd = self.datastore
        self.etcd_nodes = EtcdNodes(etcd.api, objects, clock, lambda: self.kube_controllers.running) if etcd else None

        def store_of(api: LocalApi) -> Datastore:
            return etcd.store if etcd is not None else KubernetesStore(api, places.group)

        self.store = store_of(controllers_api)
        self.cni = CalicoCni(store_of(cni_api), objects, clock, places)
        self.behaviour = Behaviour(self.server, self.cni, timings)

        def look_at_tunnels(node: str) -> None:
            # The two know each other; this one is called only after both are made.
            if self.etcd_nodes is not None:
                self.etcd_nodes.ensure(node)
            self.tunnels.look_at(node)

        self.calico_nodes = CalicoNodes(
            etcd or node_api, objects, clock, self.scenario.calico_version, look_at_tunnels, places
        )
        self.tunnels = Tunnels(
            self.etcd_nodes or node_api,
            store_of(node_api),
            objects,
            clock,
            self.calico_nodes.nodes,
            timings.tunnel,
            places,
            self.etcd_nodes.node if self.etcd_nodes is not None else None,
        )
        self.pool_controller: PoolController | None = None
        if self.installation == "crd_v3":
            self.pool_controller = PoolController(
                controllers_api, self.store, objects, clock, places, lambda: self.kube_controllers.running
            )

        self.tigera_operator: TigeraOperator | None = None
        if self.operator:
            api = LocalApi(self.server, TIGERA_OPERATOR)
            self.tigera_operator = TigeraOperator(api, objects, clock, self.installation, places)

        def look_at_pools() -> None:
            if self.pool_controller is not None:
                self.pool_controller.came_up()
            if self.etcd_nodes is not None:
                self.etcd_nodes.look()

        self.kube_controllers = KubeControllers(self.store, objects, clock, timings.leak_grace, places, look_at_pools)

    def _evict(self, call: SubresourceCall) -> Answer:
        pod = self.objects.get(PODS, call.namespace, call.name)
        if pod is None or call.options.dry_run:
            return evict(self.server, call)
        with self.recorder.evicting(pod["metadata"]["uid"]):
            return evict(self.server, call)

    # -- life ------------------------------------------------------------------------------

    def boot(self) -> None:
        """Load the scenario into an empty data directory and let it come to rest; or take up an existing one.

        Raises ``InvalidInput`` when the scenario cannot be loaded, or is not the one in the data directory.
        """
        stored = self.objects.meta(_LOADED)
        if stored is not None and stored != self.scenario.name:
            raise InvalidInput(
                f"The data directory {self.data_dir} holds scenario {stored}, not {self.scenario.name}: "
                "take another data directory, or delete this one to begin anew.",
                "scenario",
                self.scenario.name,
            )
        if stored is None and self.objects.revision == 1:
            with self.objects.bulk():
                installed = apiserver_objects(self.scenario.calico_version) if self.aggregator is not None else []
                self._load(installed)
                self.objects.set_meta("installation", self.installation)
                self.objects.set_meta("operator", "true" if self.operator else "false")
                self.objects.set_meta("seed", str(self.seed))
                self.objects.set_meta(_LOADED, self.scenario.name)
                self._begin()
                self.settle(self.scenario.settle_seconds)
                if self.scenario.afterwards:
                    carry_out_afterwards(LocalApi(self.server, "system:admin"), self.scenario)
                    self.settle(self.scenario.settle_seconds)
        else:
            self._begin()
        # Before, the pods behind them were not there yet, as on a cluster where they are installed.
        self.server.webhooks.start()
        self.recorder.start()
        if self.datastore is not None and self.clock.speed is None:
            self.datastore.look_every(_LOOK)

    def _load(self, installed: list[Object]) -> None:
        admin, etcd = LocalApi(self.server, "system:admin"), self.datastore
        if etcd is None or self.etcd_nodes is None:
            scenario = with_operator(self.scenario, self.installation) if self.operator else self.scenario
            load_scenario(admin, scenario, self.places, installed)
            return
        etcd.require_empty()
        load_scenario(admin, self.scenario, self.places, installed, etcd.load)
        etcd.refresh()
        for node in self.objects.list(NODES):
            self.etcd_nodes.ensure(node["metadata"]["name"])

    def _begin(self) -> None:
        if self.datastore is not None and self.etcd_nodes is not None:
            self.datastore.refresh()
            self._tell_endpoints(self.datastore.endpoints)
            self.etcd_nodes.start()
        self.apiservices.start()
        if self.aggregator is not None:
            self.aggregator.start()
        self.behaviour.start()
        self.server.register_subresource("pods", "eviction", self._evict)
        self.calico_nodes.start()
        self.tunnels.start()
        self.kube_controllers.start()
        if self.pool_controller is not None:
            self.pool_controller.start()
        if self.tigera_operator is not None:
            self.tigera_operator.start()

    def _tell_endpoints(self, endpoints: t.Sequence[str]) -> None:
        """Our own etcd may be on another port than before."""
        config = self.objects.get(CONFIG_MAPS, "kube-system", CONFIG)
        text = ",".join(endpoints)
        if config is not None and (config.get("data") or {}).get(ENDPOINTS) != text:
            admin = LocalApi(self.server, "system:admin")
            admin.patch(CONFIG_MAPS, CONFIG, {"data": {ENDPOINTS: text}}, "kube-system")

    def settle(self, limit: float = 600.0) -> list[str]:
        """Advance a clock that stands still until the cluster rests; what does not after ``limit`` virtual seconds."""
        passed, quiet = 0.0, 0.0
        while passed < limit and quiet < self.quiet:
            self.clock.advance(1.0)
            passed += 1.0
            quiet = 0.0 if unsettled(self.objects) else quiet + 1.0
        return unsettled(self.objects)

    @property
    def quiet(self) -> float:
        """How long, in virtual seconds, nothing must be on its way before the cluster counts as at rest."""
        return self.scenario.timings.tunnel * 1.5 + 3.0

    # -- time ------------------------------------------------------------------------------

    def _start_of_time(self, speed: float | None) -> datetime:
        """The scenario's start, or where the last process on this data directory was."""
        if self.data_dir is None:
            return self.scenario.start
        try:
            stored = json.loads((self.data_dir / "clock.json").read_text(encoding="utf-8"))
            last = datetime.fromisoformat(stored["now"])
        except (OSError, ValueError, LookupError, TypeError):
            return self.scenario.start
        # What happened after the last note must not lie in the future.
        return last + timedelta(seconds=2 * _CLOCK_PERIOD * float(stored.get("speed") or speed or 1.0))

    def _note_time(self) -> None:
        if self.data_dir is not None:
            note = {"now": self.clock.now().isoformat(), "speed": self.clock.speed}
            replace_file(self.data_dir / "clock.json", json.dumps(note) + "\n")

    def _keep_time(self) -> None:
        self._note_time()
        self._clock_timer = asyncio.get_running_loop().call_later(_CLOCK_PERIOD, self._keep_time)

    # -- over HTTPS ------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the API is served."""
        return f"https://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Boot, then serve on 127.0.0.1 and let time pass. ``port`` and ``kubeconfig_path`` are known afterwards.

        Raises ``InvalidInput`` like ``boot``, or when the port is taken.
        """
        if self.data_dir is None:
            raise ValueError("A twin that serves needs a data directory.")
        self.boot()
        pki = open_pki(self.data_dir / "pki")
        known = known_tokens(self.objects, reader=self.rbac)
        tokens = Tokens()
        register(tokens, known)
        if self.rbac:
            create_roles(LocalApi(self.server, "system:apiserver"))
        self.authorizer = Authorizer(self.objects, enabled=self.rbac)
        self._http = HttpServer(
            self.server,
            pki=pki,
            tokens=tokens,
            authorizer=self.authorizer,
            version=self.scenario.kubernetes_version,
            middlewares=[self.faults.middleware],
            mounts={PREFIX: Control(self).handle},
        )
        try:
            await self._http.start(self.port)
        except OSError as error:
            raise InvalidInput(
                f"The twin cannot serve on 127.0.0.1, port {self.port}: {error.strerror or error}; "
                "take another port, or 0 for a free one.",
                "port",
                self.port,
            ) from None
        self.port = self._http.port
        self.kubeconfig_path = write_kubeconfigs(self.data_dir, self.url, pki, known)
        self.clock.start()
        if self.datastore is not None:
            self.datastore.follow()
        self._keep_time()

    async def stop(self) -> None:
        """Serve no more, stop time, and fold everything into the data directory."""
        if self._clock_timer is not None:
            self._clock_timer.cancel()
        if self._http is not None:
            await self._http.stop()
        self.clock.stop()
        self.behaviour.stop()
        self.close()

    def close(self) -> None:
        """Note the time and let go of the files."""
        self._note_time()
        if self.datastore is not None:
            self.datastore.close()
        self.objects.close()
