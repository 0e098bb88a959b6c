"""`delivered to n of n`, as the API, the command line and the metrics say it, with real SDKs on a real controller."""

import json
import subprocess

import requests
from prometheus_client import CollectorRegistry

from support.live_controller import WAVEGATE, environment, live_controller
from support.waiting import wait_until
from wavegate import Client


def test_a_change_is_delivered_and_everybody_can_see_it(tmp_path):
    with live_controller(tmp_path) as url:
        clients = [Client(url, registry=CollectorRegistry(), poll_interval=0.1, app_name="shop") for _ in range(3)]
        try:
            wait_until(lambda: all(client.streaming for client in clients))
            requests.post(f"{url}/api/v1/flags", json={"key": "search"}, timeout=5).raise_for_status()
            wait_until(lambda: _newest(url)["delivered"] == 3)
            newest = _newest(url)
            listed = requests.get(f"{url}/api/v1/delivery/clients", timeout=5).json()["items"]
            told = _cli(url, "list")
            shown = _cli(url, "clients", "--json")
            metrics = requests.get(f"{url}/metrics", timeout=5).text
        finally:
            for client in clients:
                client.close()

    assert newest["revision"] == 2
    assert newest["sentence"].startswith("delivered to 3 of 3, slowest ")
    assert newest["sentence"] in told
    assert {(each["app"], each["revision"], each["streaming"]) for each in listed} == {("shop", 2, True)}
    assert len(json.loads(shown)) == 3
    assert 'wavegate_delivery_seconds_count{environment="production"} 3.0' in metrics
    assert 'wavegate_connected_clients{environment="production"} 3.0' in metrics


def _newest(url):
    return requests.get(f"{url}/api/v1/delivery", timeout=5).json()["items"][0]


def _cli(url, *arguments):
    run = subprocess.run(
        [WAVEGATE, "delivery", *arguments],
        env=environment(WAVEGATE_URL=url),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return run.stdout
