"""The world that tests by hand are about, and who ended when and how in it."""

from __future__ import annotations

from ecsim.core.errors import Down, FlowError
from ecsim.kernel import After, Engine, Ledger, Link, Node, Topology, World, check_energy
from ecsim.kernel.battery import Battery
from ecsim.kernel.outages import LinkSwitch, NodeSwitch


class Lab:
    """cam and other --8 kbit/s, 0.5 s--> cloud; npu (idles at 0.5 W) and host (0.25 W) on cam.

    A camera's radio sends at 1 W and receives at 0.5 W; the cloud's gpu idles at 3 W.

    Parameters
    ----------
    make_npu : makes cam's npu; by default a reservation server of `n_servers`.
    keeps, keeps_link : whether work survives outages of the nodes, messages those of the link.
    link : options of the link.
    """

    def __init__(self, n_servers=1, keeps=False, keeps_link=False, make_npu=Engine, **link):
        self.world = world = World()
        self.topology = topology = Topology(world)
        self.npu = make_npu(world, "cam", "npu", n_servers, idle_w=0.5)
        self.host = Engine(world, "cam", "host", idle_w=0.25, can_train=True)
        self.gpu = Engine(world, "cloud", "gpu", idle_w=3.0)
        self.cam = Node(world, "cam", "edge", {"npu": self.npu, "host": self.host})
        self.cloud = Node(world, "cloud", "cloud", {"gpu": self.gpu})
        self.other = Node(world, "other", "edge", {})
        for node in (self.cam, self.cloud, self.other):
            topology.add_node(node)
        rates = {"up_bit_per_s": 8e3, "down_bit_per_s": 8e3, "latency_s": 0.5}
        powers = {"near_tx_w": 1.0, "near_rx_w": 0.5}
        topology.connect(["cam", "other"], "cloud", Link("wifi", **rates | powers | link))
        self.switch = NodeSwitch(world, self.cam, keeps)
        self.cloud_switch = NodeSwitch(world, self.cloud, keeps)
        channels = dict.fromkeys(hop.channel for hop in (*self.up, *self.down))
        self.link_switch = LinkSwitch(world, "wifi", channels, keeps_link)
        self.ledgers = []
        self.ends = []

    @property
    def up(self):
        return self.topology.route("cam", "cloud")

    @property
    def down(self):
        return self.topology.route("cloud", "cam")

    def spawn_at(self, t, *operations):
        def flow():
            if t:
                yield After(t)
            yield from operations

        self.ledgers.append(ledger := Ledger(3))
        self.world.spawn(flow(), ledger, self.note, len(self.ends))
        self.ends.append(None)
        return ledger

    def note(self, flow):
        value = flow.value
        self.ends[flow.item] = (self.world.now, value if isinstance(value, FlowError) else "ok")

    @property
    def outcomes(self):
        """When each flow ended, and how: "ok", "down" or the error."""
        ends = [end or (None, "under way") for end in self.ends]
        return [(t, "down" if isinstance(how, Down) else how) for t, how in ends]

    def check(self):
        check_energy(self.world, sum(ledger.total_j for ledger in self.ledgers))

    def run(self):
        self.world.run()
        self.check()
        return self.outcomes


class Powered(Lab):
    """The usual world, with a battery on cam."""

    def __init__(
        self, capacity_j=10.0, before_s=1000.0, make_npu=Engine, n_servers=1, link=None, **battery
    ):
        super().__init__(n_servers, make_npu=make_npu, **link or {})
        self.battery = Battery(
            self.world, self.cam, self.switch, capacity_j, before_s=before_s, **battery
        )
        self.downs = []
        self.switch.on_change.append(
            lambda: self.downs.append((self.world.now, self.switch.is_down))
        )

    def run(self, until=None):
        if until is None:
            self.world.run()
        else:
            self.world.run_until(until)
        self.battery.check()
        if until is None:
            self.check()
        return self.downs
