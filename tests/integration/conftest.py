"""Fixtures of the integration tests. docs/testing.md says how to run them."""

import itertools
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness.device import Device  # noqa: E402
from harness.mqtt import Client  # noqa: E402
from harness.stack import Stack  # noqa: E402

_users = itertools.count(1)


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """The stack that most tests share, with the times that protocol.md names. Tests use users of
    their own, and do nothing to it that others could notice."""
    running = Stack(tmp_path_factory.mktemp("stack")).up()
    yield running
    running.down()


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """Like `stack`, but with short times: presence, silent devices."""
    running = Stack(tmp_path_factory.mktemp("quick"), {
        "online_after_ms": 300, "offline_after_ms": 500, "silent_after_ms": 500}).up()
    yield running
    running.down()


@pytest.fixture(scope="session")
def three(tmp_path_factory):
    """Three brokers on one hub, with short times."""
    running = Stack(tmp_path_factory.mktemp("three"), {
        "online_after_ms": 300, "offline_after_ms": 500, "silent_after_ms": 1000}, brokers=3).up()
    yield running
    running.down()


@pytest.fixture
def own_stack(tmp_path):
    """A function that starts a stack for this test alone, to be broken at will."""
    started = []

    def start(**kwargs):
        running = Stack(tmp_path / f"s{len(started)}", **kwargs)
        started.append(running)
        return running.up()

    yield start
    for running in started:
        running.down()


@pytest.fixture
def user():
    """A function that makes up a user nobody has used before."""
    return lambda name="u": f"{name}{next(_users)}.{os.getpid()}"


@pytest.fixture(autouse=True)
def close_clients():
    """No client outlives its test."""
    yield
    while Client.made:
        Client.made.pop().close()


@pytest.fixture
def device(stack):
    """A function that makes a Device of the shared stack (or another one)."""
    return lambda uid, name="phone", on=None, **kwargs: Device(on or stack, uid, name, **kwargs)


@pytest.fixture
def pair(device, user):
    """Two users' devices, online."""
    def make(**kwargs):
        return device(user("a"), **kwargs).online(), device(user("b"), **kwargs).online()
    return make
