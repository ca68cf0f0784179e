"""What a hospital says of where its streams may stay, read."""

import pytest

from shared.messaging.placement import NAMES, read_placement
from shared.messaging.provision import StreamStorage, differs, stream_config
from shared.messaging.topology import STREAMS


def test_nothing_said_leaves_every_stream_where_it_is() -> None:
    assert read_placement(" , ") == {}
    assert stream_config(STREAMS[0], StreamStorage()).placement is None


def test_a_streams_own_tags_are_added_to_the_general_ones() -> None:
    found = read_placement("region:eu, DISCHARGE=storage:worm KV_artifacts=storage:worm,KV_artifacts=rack:2")
    assert found.keys() == set(NAMES)
    assert found["DISCHARGE"] == ("region:eu", "storage:worm")
    assert found["KV_artifacts"] == ("region:eu", "storage:worm", "rack:2")
    assert {tags for name, tags in found.items() if name not in ("DISCHARGE", "KV_artifacts")} == {("region:eu",)}


def test_only_a_star_lets_a_stream_out() -> None:
    found = read_placement("region:eu,KNOWLEDGE=*,ALERTS=*,ALERTS=region:us")
    assert (found["KNOWLEDGE"], found["ALERTS"], found["EHR"]) == ((), ("region:us",), ("region:eu",))
    assert set(read_placement("*").values()) == {()}


def test_one_stream_named_says_of_all_others_that_they_may_be_anywhere() -> None:
    found = read_placement("DISCHARGE=storage:worm")
    assert (found["DISCHARGE"], found["EHR"]) == (("storage:worm",), ())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("discharge=region:eu", r"there is no stream discharge; there are EHR, DISCHARGE, .*KV_artifacts"),
        ("=region:eu", r"there is no stream \(no name\)"),
        ("region:eu,DISCHARGE=", r"DISCHARGE= names no tag; DISCHARGE=\* is any server"),
    ],
)
def test_what_makes_no_sense_is_said(said: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_placement(said)


def test_being_anywhere_is_held_against_what_is_there_when_it_is_said() -> None:
    placed = stream_config(STREAMS[0], StreamStorage(1, read_placement("region:eu")))
    anywhere = stream_config(STREAMS[0], StreamStorage(1, read_placement("*")))
    assert differs(placed, anywhere) == ("placement",)
    assert differs(placed, stream_config(STREAMS[0], StreamStorage())) == ()
    assert differs(stream_config(STREAMS[0], StreamStorage()), anywhere) == ()
