"""The form of questions to libraries at addresses, which servers of other versions understand."""

import numpy as np

from pixfind.collection import wire
from pixfind.collection.member import Found
from pixfind.search import bursts, filters
from pixfind.search.query import Query
from pixfind.search.ranking import Candidate, Reach, Wanted

_OF_AN_OLDER_SERVER = {"vector", "k", "terms", "unit", "filters", "each_file"}
_NEW_IN_HITS = ("date", "added", "taken")


def wanted(**values: str) -> Wanted:
    row = np.array([0.6, 0.8], dtype=np.float32)
    return Wanted(row, Query(()), filters.parse(**values), False, 0.5, Reach(0.25, 0.5), ("zyx",))  # type: ignore[arg-type]


def test_an_older_server_is_sent_what_it_knows() -> None:
    plain = wire.wanted_to_json(wanted(), 3, takes_reach=False)
    filtered = wire.wanted_to_json(wanted(inside="/a", label="beach"), 3, takes_reach=False)

    assert _OF_AN_OLDER_SERVER == set(plain)
    assert {"where": []} == plain["filters"]
    assert {"inside": "/a", "where": [], "labels": ("beach",)} == filtered["filters"]


def test_a_question_of_an_older_client_is_read() -> None:
    asked, k = wire.wanted_from_json(wire.wanted_to_json(wanted(), 3, takes_reach=False))

    assert (3, None, ()) == (k, asked.reach, asked.unknown)


def test_a_question_is_read_as_it_was_asked() -> None:
    ours = wanted(after="2021", added_before="2022", label="beach")
    asked, _ = wire.wanted_from_json(wire.wanted_to_json(ours, 3, takes_reach=True))

    assert (ours.filters, ours.reach, ours.unknown) == (asked.filters, asked.reach, asked.unknown)


def test_an_answer_of_an_older_server_is_read() -> None:
    embedding = np.array([1, 0], dtype=np.float16)
    hit = Candidate(0, 0.5, 7, "/a.jpg", embedding, date=1, added=2, taken=bursts.Taken(3, "Canon"))
    answer = wire.found_to_json(Found("tag", [hit]), 2)
    new = wire.found_from_json(answer, wanted()).candidates[0]
    for key in _NEW_IN_HITS:
        del answer["hits"][0][key]
    old = wire.found_from_json(answer, wanted()).candidates[0]

    assert (1, 2, hit.taken) == (new.date, new.added, new.taken)
    assert (None, None, bursts.UNKNOWN) == (old.date, old.added, old.taken)
