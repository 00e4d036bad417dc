"""What is written of an arm besides its tasks: batteries, energy, and how good versions were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ecsim.collab.probe import Probed, probe
from ecsim.collab.strategy import Strategy
from ecsim.collab.updates import Deployment
from ecsim.core.types import ModelRef
from ecsim.kernel import MeterRow
from ecsim.kernel.battery import Battery
from ecsim.records.recorder import Recorder
from ecsim.runtime.system import System


class ArmTables:
    """Writes the tables of one strategy, by its label.

    Parameters
    ----------
    versions : whose versions it serves: "own", or another arm's label.
    """

    def __init__(self, system: System, recorder: Recorder, label: str, versions: str):
        self._system = system
        self._recorder = recorder
        self._label = label
        self._versions = versions
        self._scores: dict[str, Probed] = {}  # by key of the version

    def batteries(self, batteries: Mapping[str, Battery]) -> None:
        """Check the balance of each node's battery, and write it."""
        for name, battery in batteries.items():
            battery.check()
            self._recorder.add(
                "batteries",
                strategy=self._label,
                node=name,
                capacity_j=battery.capacity_j,
                initial_j=battery.initial_j,
                final_j=battery.charge_j,
                charged_j=battery.in_j,
                drawn_j=battery.out_j,
                n_depleted=battery.n_depleted,
                down_s=battery.switch.down_s,
            )

    def energy(self, rows: Sequence[MeterRow], tiers: Mapping[str, str]) -> None:
        """Write what the meters show; `tiers` by the names of the nodes."""
        columns: dict[str, Any] = dict(zip(MeterRow._fields, zip(*rows, strict=True), strict=True))
        columns["tier"] = [tiers[name] for name in columns["node"]]
        columns["strategy"] = [self._label] * len(rows)
        self._recorder.add_rows("energy", columns)

    def versions(
        self, deployments: Sequence[Deployment], asks_edge: bool, strategy: Strategy[object]
    ) -> None:
        """Write how versions came about, and how good they are with the strategy.

        The versions that devices begin with are among them where the strategy asks the edge.
        """
        edge = self._system.first["edge"]
        source = self._versions
        is_own = source == "own"
        for device in self._system.devices if asks_edge else ():
            self._probe(Deployment(device, edge, 0.0, 0.0), strategy)
        for deployment in deployments:
            model = deployment.model
            self._probe(deployment, strategy)
            self._recorder.add(
                "updates",
                strategy=self._label,
                device=deployment.device,
                version=model.version,
                parent_key=deployment.parent_key,
                key=model.key,
                phase=self._phase_at(deployment.device, deployment.t_start_s),
                n_samples=deployment.n_samples,
                n_classes=len(model.classes),
                new_classes=" ".join(map(str, deployment.new_classes)),
                t_start_s=deployment.t_start_s,
                t_deploy_s=deployment.t_deploy_s,
                seconds=deployment.seconds if is_own else None,
                joules=deployment.joules if is_own else None,
                macs=deployment.macs if is_own else None,
                source=source,
                train_loss=self._system.train_loss(model),
                trained_at=deployment.at,
                memory_bytes=deployment.memory_bytes if is_own else None,
                sent_bytes=deployment.sent_bytes if is_own else None,
            )

    def _probe(self, deployment: Deployment, strategy: Strategy[object]) -> None:
        system, model = self._system, deployment.model
        scores = self._scores.get(model.key)  # devices start with one version
        if scores is None:
            scores = self._scores[model.key] = probe(
                model,
                system.cloud_at(deployment.t_deploy_s),
                system.predictors["edge"],
                system.predictors["cloud"],
                system.pools.probe,
                system.data.labels,
                strategy,
            )
            self._write_probed(model, scores)
        self._recorder.add(
            "probe",
            strategy=self._label,
            device=deployment.device,
            version=model.version,
            key=model.key,
            phase=self._phase_at(deployment.device, deployment.t_deploy_s),
            t_s=deployment.t_deploy_s,
            n=scores.n,
            accuracy=scores.accuracy,
            accuracy_known=scores.accuracy_known,
            system_accuracy=scores.system_accuracy,
            cur=scores.cur,
            cloud_accuracy=scores.cloud_accuracy,
            threshold=scores.threshold,
        )

    def _write_probed(self, model: ModelRef, scores: Probed) -> None:
        for table, rows in (("probe_classes", scores.classes), ("probe_bins", scores.bins)):
            for row in rows:
                values = {name: getattr(row, name) for name in row.__slots__}
                self._recorder.add(table, strategy=self._label, key=model.key, **values)

    def _phase_at(self, device: str, t_s: float) -> int:
        ends_s = self._system.phase_ends(device)
        phase = int(np.searchsorted(ends_s, t_s, side="right"))
        return min(phase, self._system.schedule.n_phases - 1)
