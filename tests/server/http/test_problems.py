"""Errors of commands as HTTP tells them."""

from __future__ import annotations

import pytest

from keystead.server.http.problems import problem_of_redis_error


@pytest.mark.parametrize("word", ["CLUSTERDOWN", "MASTERDOWN", "NOREPLICAS", "LOADING", "TRYAGAIN"])
def test_what_a_cluster_cannot_do_now_may_be_sent_again(word: str):
    problem = problem_of_redis_error(f"-{word} not now\r\n")
    assert problem.status == 503
    assert problem.headers == {b"Retry-After": b"1"}
    assert problem.redis_error == f"{word} not now"


def test_what_may_have_been_done_is_not_told_to_be_sent_again():
    problem = problem_of_redis_error("UNKNOWNOUTCOME no replica had it within 1000 ms")
    assert problem.status == 504
    assert problem.headers == {}


@pytest.mark.parametrize(("cause", "status"), [("NOREPLICAS Not enough good replicas to write.", 503), ("OOM no", 507)])
def test_a_transaction_that_was_not_executed_is_told_by_its_cause(cause: str, status: int):
    problem = problem_of_redis_error(f"EXECABORT Transaction discarded because of: {cause}")
    assert problem.status == status


def test_a_transaction_without_a_cause_is_a_conflict():
    assert problem_of_redis_error("EXECABORT Transaction discarded because of previous errors.").status == 409
