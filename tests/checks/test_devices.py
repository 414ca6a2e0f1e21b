from __future__ import annotations

import pytest

from migrate.checks.devices import find_device_pins
from migrate.graph.nodes import Located
from migrate.graph.protos import NodeDef
from migrate.records import Severity


def _on(*devices: str) -> list[Located]:
    return [Located(NodeDef(name=f"n{i}", op="Add", device=device)) for i, device in enumerate(devices)]


@pytest.mark.parametrize(
    "device",
    [
        "",
        "/cpu:0",
        "/device:CPU:0",
        "/device:CPU:*",
        "/job:localhost/replica:0/task:0/device:CPU:0",
        "/CPU:0",
    ],
)
def test_no_finding(device):
    assert find_device_pins(_on(device)) == ()


@pytest.mark.parametrize(
    "device",
    [
        "/gpu:0",
        "/device:GPU:1",
        "/device:CPU:1",
        "/job:ps/task:0",
        "/job:worker/task:1/cpu:0",
        "/device:TPU:0",
    ],
)
def test_pins(device):
    (finding,) = find_device_pins(_on(device))
    assert (finding.code, finding.severity, finding.nodes) == ("device-pin", Severity.NOTE, ("n0",))


def test_one_finding_with_counts():
    (finding,) = find_device_pins(_on("/gpu:0", "", "/gpu:0", "/device:GPU:1"))
    assert finding.message == "3 nodes are pinned to a device: /device:GPU:1 (1), /gpu:0 (2)."
    assert finding.nodes == ("n0", "n2", "n3")
