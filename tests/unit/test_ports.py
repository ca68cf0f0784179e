"""Ports that several servers are given before the first has taken its own."""

import socket

from cli.stack.ports import FIRST, LAST, free_port


def test_ports_that_nobody_has_taken_yet_are_not_given_twice() -> None:
    given = [free_port() for _ in range(2_000)]

    assert len(set(given)) == len(given)
    assert all(FIRST <= port <= LAST for port in given)


def test_a_port_that_somebody_listens_on_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port() + 1))
        taken.listen()

        assert free_port() != taken.getsockname()[1]
