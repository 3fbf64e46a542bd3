"""What redis-benchmark is told, and what it prints."""

import pytest

from benchmarks.load import Load, LoadFailed, parse

COLUMNS = ("test", "rps", *(f"{part}_latency_ms" for part in ("avg", "min", "p50", "p95", "p99", "max")))
HEADER = ",".join(f'"{column}"' for column in COLUMNS) + "\n"
ROW = '"GET key:__rand_int__","91324.20","0.322","0.072","0.311","0.503","0.703","1.103"\n'


def test_the_result_is_read_by_the_names_of_its_columns() -> None:
    result = parse(HEADER + ROW)
    assert result.requests_per_s == 91324.20
    assert (result.p50_ms, result.p95_ms, result.p99_ms, result.max_ms) == (0.311, 0.503, 0.703, 1.103)


def test_a_command_with_a_comma_in_it_is_one_column() -> None:
    assert parse(HEADER + ROW.replace("GET key:__rand_int__", "SET k a,b")).p99_ms == 0.703


def test_warnings_before_the_table_are_no_part_of_it() -> None:
    assert parse("WARNING: Could not fetch server CONFIG\n" + HEADER + ROW).requests_per_s == 91324.20


def test_an_error_reply_is_reported_in_its_words() -> None:
    with pytest.raises(LoadFailed, match="ERR syntax error"):
        parse(HEADER + "Error from server: ERR syntax error\n")


def test_no_output_at_all_is_reported() -> None:
    with pytest.raises(LoadFailed, match="nothing"):
        parse("")


def test_another_table_than_the_known_one_is_reported() -> None:
    with pytest.raises(LoadFailed, match="unknown table"):
        parse('"test","speed"\n"GET","1"\n')


def test_the_load_is_spelled_out_for_redis_benchmark() -> None:
    words = Load(50, ("GET", "key:__rand_int__"), pipeline=16, keys=1000).arguments(7379)
    assert words[-2:] == ["GET", "key:__rand_int__"]
    options = dict(zip(words[1:-3:2], words[2:-2:2], strict=False))
    assert options["-p"] == "7379"
    assert "-c 50 -P 16 -r 1000" in " ".join(words)


def test_one_key_needs_no_range_of_keys() -> None:
    assert "-r" not in Load(1, ("GET", "k")).arguments(7379)
