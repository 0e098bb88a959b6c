"""Ports that the demo gives to its parts."""

from wavegate_controller.demo import processes
from wavegate_controller.demo.processes import free_port


def test_no_two_parts_of_the_demo_are_given_one_port_though_neither_listens_yet(monkeypatch):
    monkeypatch.setattr(processes, "_PORTS", range(29_900, 29_950))

    ports = [free_port() for _ in range(20)]

    assert len(set(ports)) == len(ports)
