"""Ports for the embedded servers."""

import socket

import pytest

from libs.devstack.errors import DevstackFailure
from libs.devstack.ports import ensure_free, free_port, is_free


def test_the_preferred_port_is_used_when_it_is_free() -> None:
    preferred = free_port()
    assert free_port(preferred) == preferred


def test_a_taken_port_gives_the_next_free_one() -> None:
    taken = free_port()
    with socket.create_server(("127.0.0.1", taken)):
        assert not is_free(taken)
        assert taken < free_port(taken) < 32_768


def test_a_port_that_is_taken_on_every_address_counts_as_taken() -> None:
    taken = free_port()
    with socket.create_server(("0.0.0.0", taken)):
        assert not is_free(taken)


def test_a_port_chosen_before_is_avoided() -> None:
    first = free_port()
    assert free_port(first, avoid=[first]) != first


def test_the_search_goes_round_below_the_ephemeral_range() -> None:
    assert free_port(32_767, avoid=[32_767]) < 32_767


def test_a_taken_port_is_refused_by_name() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(DevstackFailure, match=f"Kafka ne peut pas démarrer : le port {port}"):
            ensure_free("Kafka", port)
