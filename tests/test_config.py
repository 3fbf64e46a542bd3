"""One configuration: command line > environment > file > defaults, and CONFIG GET, SET, REWRITE at run time."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from keystead import config
from keystead.config.machine import memory_limit_bytes
from keystead.errors import ConfigurationError

NO_ENVIRONMENT: dict[str, str] = {}


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


# --- where a value comes from ---------------------------------------------------------------------------------------


def test_everything_has_a_default() -> None:
    settings = config.load({}, NO_ENVIRONMENT)
    assert settings == config.Settings()
    assert (settings.port, settings.hosts, settings.fsync) == (7379, ("127.0.0.1",), "always")
    assert (settings.history_max_age_s, settings.history_max_bytes) == (7 * 86400, 1 << 30)
    assert (settings.segment_bytes, settings.max_value_bytes) == (64 << 20, 64 << 20)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "k.toml", 'port = 1001\ntimeout = 11\nmax-clients = 21\nhost = ["127.0.0.1", "::1"]\n')
    settings = config.load({"port": "1003", "config": file}, {"KEYSTEAD_PORT": "1002", "KEYSTEAD_TIMEOUT": "12"})
    assert (settings.port, settings.idle_timeout_s, settings.max_clients) == (1003, 12, 21)
    assert settings.hosts == ("127.0.0.1", "::1")


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = write(tmp_path / "k.toml", "protected-mode = false\n")
    settings = config.load({}, {"KEYSTEAD_CONFIG": file})
    assert settings.protected_mode is False
    assert settings.config_file == Path(file)


def test_no_file_is_read_that_was_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "keystead.toml", "port = 1\n")
    monkeypatch.chdir(tmp_path)
    assert config.load({}, NO_ENVIRONMENT).port == 7379


def test_an_empty_variable_counts_as_not_set() -> None:
    assert config.load({}, {"KEYSTEAD_PORT": ""}).port == 7379


def test_a_password_may_come_from_a_file_and_loses_its_line_end(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", "pass word \n")
    assert config.load({"requirepass-file": secret}, NO_ENVIRONMENT).requirepass == "pass word "
    assert config.load({}, {"KEYSTEAD_REQUIREPASS_FILE": secret}).requirepass == "pass word "
    with pytest.raises(ConfigurationError, match="cannot be read"):
        config.load({"requirepass-file": str(tmp_path / "none")}, NO_ENVIRONMENT)
    with pytest.raises(ConfigurationError, match="requirepass is set twice"):
        config.load({"requirepass-file": secret, "requirepass": "x"}, NO_ENVIRONMENT)


# --- what is refused ------------------------------------------------------------------------------------------------


def refusal(options: dict[str, str], environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        config.load(options, environ or {})
    assert caught.value.exit_code == 78
    return str(caught.value)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("KEYSTEAD_PROT", "KEYSTEAD_PORT"),
        ("KEYSTEAD_MAXCLIENTS", "KEYSTEAD_MAX_CLIENTS"),
        ("KEYSTEAD_BIND", "KEYSTEAD_HOST"),
    ],
)
def test_an_unknown_variable_suggests_the_right_one(variable: str, meant: str) -> None:
    message = refusal({}, {variable: "1"})
    assert message == f"unknown setting {variable} in the environment; did you mean {meant}?"


def test_an_unknown_key_of_the_file_suggests_the_right_one(tmp_path: Path) -> None:
    file = write(tmp_path / "k.toml", "max_clients = 5\n")
    assert refusal({"config": file}) == f"unknown setting max_clients in {file}; did you mean max-clients?"


def test_a_name_like_no_other_suggests_nothing() -> None:
    assert refusal({}, {"KEYSTEAD_XYZZY": "1"}) == "unknown setting KEYSTEAD_XYZZY in the environment"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("port", "1_0", "argument couldn't be parsed into an integer"),
        ("port", "70000", "argument must be between 0 and 65535 inclusive"),
        ("maxmemory", "lots", "argument must be a memory value"),
        ("maxmemory", "-1", "argument must be a memory value"),
        ("max-value-bytes", "1kb", "argument must be between 1048576 and"),
        ("history-max-age", "a week", "argument must be a length of time"),
        ("history-max-age", "9999w", "argument must be between 0 and"),
        ("protected-mode", "maybe", "argument must be 'yes' or 'no'"),
        ("fsync", "often", "argument(s) must be one of the following: always, interval, never"),
        ("unix-mode", "999", "argument must be an octal file mode"),
        ("host", " , ", "argument must be an address"),
        ("dir", "", "argument must be the name of a directory"),
        ("log-format", "", "argument(s) must be one of the following: text, json"),
    ],
)
def test_a_bad_value_is_refused_with_its_origin_and_the_reason(name: str, text: str, reason: str) -> None:
    assert refusal({name: text}).startswith(f'--{name} "{text}": {reason}')


def test_a_bad_value_is_refused_even_where_another_source_overrides_it() -> None:
    assert refusal({"port": "1"}, {"KEYSTEAD_PORT": "x"}).startswith('KEYSTEAD_PORT "x"')


@pytest.mark.parametrize("content", ["port = ", "port = 1.5", "[port]\nx = 1", "port = [1]"])
def test_a_file_that_makes_no_sense_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = write(tmp_path / "k.toml", content)
    assert file in refusal({"config": file})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal({"config": str(tmp_path / "none.toml")})


def test_a_server_that_would_listen_nowhere_is_refused() -> None:
    assert "nothing to listen on" in refusal({"port": "0", "http-port": "0"})
    assert config.load({"port": "0", "unix": "/tmp/k.sock"}, NO_ENVIRONMENT).port == 0


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected_bytes"),
    [
        ("0", 0),
        ("100", 100),
        ("1k", 1000),
        ("1kb", 1024),
        ("3M", 3_000_000),
        ("3mb", 3 << 20),
        ("2GB", 2 << 30),
        ("7b", 7),
    ],
)
def test_sizes_are_read_as_redis_reads_them(text: str, expected_bytes: int) -> None:
    assert config.load({"maxmemory": text}, NO_ENVIRONMENT).maxmemory_bytes == expected_bytes


@pytest.mark.parametrize(
    ("text", "expected_s"), [("30", 30), ("30s", 30), ("5m", 300), ("12h", 43200), ("7d", 604800), ("2w", 1209600)]
)
def test_lengths_of_time_have_units(text: str, expected_s: int) -> None:
    assert config.load({"history-max-age": text}, NO_ENVIRONMENT).history_max_age_s == expected_s


@pytest.mark.parametrize("setting", config.declared().values(), ids=lambda setting: setting.name)
def test_what_config_get_shows_is_read_back_as_the_same_value(setting: config.Setting) -> None:
    value = setting.kind.parse(setting.default)
    shown = setting.kind.config_get(value)
    assert setting.kind.config_get(setting.kind.parse(shown)) == shown


def test_memory_is_bounded_by_the_innermost_and_outermost_control_group(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/a/b\n")
    inner = tmp_path / "v2" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text("1000000\n")
    assert memory_limit_bytes(tmp_path / "v2", own) == 1_000_000
    (inner / "memory.max").write_text("4096\n")
    assert memory_limit_bytes(tmp_path / "v2", own) == 4096


def test_memory_limits_of_old_control_groups_and_of_containers_are_found(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("5:cpu:/x\n4:memory:/docker/0123\n")
    root = tmp_path / "v1" / "memory"
    root.mkdir(parents=True)
    (root / "memory.limit_in_bytes").write_text("8192\n")  # the container sees its own group as the root
    assert memory_limit_bytes(tmp_path / "v1", own) == 8192


def test_without_control_groups_the_physical_memory_is_the_limit(tmp_path: Path) -> None:
    assert memory_limit_bytes(tmp_path, tmp_path / "none") > 1 << 20


def test_a_password_is_text_that_a_file_can_hold() -> None:
    for password in ("\udcff", "a\ud800"):
        with pytest.raises(ConfigurationError, match="argument must be UTF-8 text"):
            config.load({"requirepass": password}, NO_ENVIRONMENT)
    assert config.load({"requirepass": "🔑\n"}, NO_ENVIRONMENT).requirepass == "🔑\n"


# --- CONFIG ---------------------------------------------------------------------------------------------------------


def test_config_shows_redis_names_and_words() -> None:
    shown = config.shown(config.load({"fsync": "interval", "max-clients": "7"}, NO_ENVIRONMENT))
    assert shown["appendfsync"] == "everysec"
    assert shown["maxclients"] == "7"
    assert shown["proto-max-bulk-len"] == str(64 << 20)
    assert shown["databases"] == "16"
    assert shown["protected-mode"] == "yes"


def test_config_set_takes_redis_words_and_ours_in_any_case() -> None:
    settings = config.Settings()
    assert config.changed(settings, {"AppendFsync": "EVERYSEC"}).fsync == "interval"
    assert config.changed(settings, {"appendfsync": "never"}).fsync == "never"
    assert config.changed(settings, {"maxmemory": "100mb"}).maxmemory_bytes == 100 << 20


def test_config_set_changes_all_or_nothing() -> None:
    with pytest.raises(config.ParameterRefused) as caught:
        config.changed(config.Settings(), {"timeout": "5", "maxclients": "many"})
    assert (caught.value.parameter, caught.value.reason) == (
        "maxclients",
        "argument couldn't be parsed into an integer",
    )


def test_what_is_about_a_stores_data_is_not_changed_in_front_of_a_cluster() -> None:
    front = dataclasses.replace(config.Settings(), cluster=(("127.0.0.1", 7000),))
    for name, value in (("maxmemory", "1gb"), ("appendfsync", "everysec"), ("history-max-bytes", "1gb")):
        with pytest.raises(config.ParameterRefused, match="set it at the nodes"):
            config.changed(front, {name: value})
    assert config.changed(front, {"timeout": "7"}).idle_timeout_s == 7


@pytest.mark.parametrize("name", ["port", "bind", "databases", "appendonly"])
def test_what_needs_a_restart_cannot_be_set(name: str) -> None:
    with pytest.raises(config.ParameterRefused, match="can't set immutable config"):
        config.changed(config.Settings(), {name: "1"})


def test_an_unknown_parameter_is_told_from_a_refused_one() -> None:
    with pytest.raises(config.UnknownParameter):
        config.changed(config.Settings(), {"nosuch": "1"})


def test_no_two_settings_share_a_name_of_any_kind() -> None:
    settings = list(config.declared().values())
    for names in (
        [s.redis_name for s in settings],
        [s.environment_name for s in settings],
        [s.attribute for s in settings],
    ):
        assert len(set(names)) == len(names)
    assert not set(config.FIXED_PARAMETERS) & set(config.parameters())


def test_rewrite_changes_only_lines_of_settings_that_changed(tmp_path: Path) -> None:
    file = write(tmp_path / "k.toml", "# ours\nport = 7001\n\ntimeout = 5 # idle\nmax-clients = 9\n")
    (tmp_path / "k.toml").chmod(0o640)
    started = config.load({"config": file}, NO_ENVIRONMENT)
    now = config.changed(started, {"timeout": "60", "requirepass": 'a"b\\c'})
    config.rewrite(now, started)
    text = Path(file).read_text(encoding="utf-8")
    assert text.startswith('# ours\nport = 7001\n\ntimeout = "60"\nmax-clients = 9\n')
    assert config.load({"config": file}, NO_ENVIRONMENT) == now
    assert Path(file).stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["k.toml"]


def test_rewrite_replaces_the_name_of_a_password_file_by_the_new_password(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", "old\n")
    file = write(tmp_path / "k.toml", f'requirepass-file = "{secret}"\n')
    started = config.load({"config": file}, NO_ENVIRONMENT)
    config.rewrite(config.changed(started, {"requirepass": "new"}), started)
    assert config.load({"config": file}, NO_ENVIRONMENT).requirepass == "new"


def test_rewrite_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    write(tmp_path / "real.toml", "timeout = 5\n")
    (tmp_path / "link.toml").symlink_to("real.toml")
    started = config.load({"config": str(tmp_path / "link.toml")}, NO_ENVIRONMENT)
    config.rewrite(config.changed(started, {"timeout": "6"}), started)
    assert (tmp_path / "link.toml").is_symlink()
    assert (tmp_path / "real.toml").read_text() == 'timeout = "6"\n'


def test_rewrite_without_a_file_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="running without a config file"):
        config.rewrite(config.Settings(), config.Settings())


# --- the cluster -----------------------------------------------------------------------------------------------------


def test_nodes_are_named_by_host_and_port() -> None:
    settings = config.load({"cluster": "10.0.0.1:6379, node-2:7000,[::1]:1"}, NO_ENVIRONMENT)
    assert settings.cluster == (("10.0.0.1", 6379), ("node-2", 7000), ("::1", 1))
    assert config.shown(settings)["cluster"] == "10.0.0.1:6379 node-2:7000 [::1]:1"
    from_environment = config.load({}, {"KEYSTEAD_CLUSTER": "10.0.0.1:6379 node-2:7000 [::1]:1"})
    assert from_environment.cluster == settings.cluster


@pytest.mark.parametrize("text", ["host", ":6379", "host:", "host:x", "host:0", "host:65536", "::1:6379", "[]:1"])
def test_what_names_no_node_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="ports"):
        config.load({"cluster": text}, NO_ENVIRONMENT)


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("250ms", 250), ("1s", 1000), ("2", 2000), ("1m", 60_000), ("3MS", 3)]
)
def test_short_times_may_be_milliseconds(text: str, milliseconds: int) -> None:
    options = {"cluster": "a:1", "cluster-wait-timeout": text}
    assert config.load(options, NO_ENVIRONMENT).cluster_wait_timeout_ms == milliseconds


@pytest.mark.parametrize("text", ["0", "0ms", "-1", "1.5s", "ms", "99999999999ms"])
def test_a_wait_must_be_some_time(text: str) -> None:
    with pytest.raises(ConfigurationError, match="argument must be"):
        config.load({"cluster": "a:1", "cluster-wait-timeout": text}, NO_ENVIRONMENT)


def test_settings_of_a_cluster_without_one_are_a_mistake() -> None:
    with pytest.raises(ConfigurationError, match="no cluster that it could be about"):
        config.load({"cluster-tls": "yes"}, NO_ENVIRONMENT)
    assert config.load({"cluster-tls": "no"}, NO_ENVIRONMENT).cluster_tls is False


@pytest.mark.parametrize(
    ("name", "text"), [("fsync", "never"), ("maxmemory", "1gb"), ("history-max-age", "1d"), ("backup-places", "/b")]
)
def test_settings_of_a_store_in_front_of_a_cluster_are_a_mistake(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is a setting of a store"):
        config.load({"cluster": "a:1", name: text}, NO_ENVIRONMENT)
    default = config.declared()[name].default
    settings = config.load({"cluster": "a:1", name: default}, NO_ENVIRONMENT)
    assert settings.maxmemory_bytes == 0


# --- the declarations -----------------------------------------------------------------------------------------------


def test_attributes_carry_their_unit() -> None:
    for setting in config.declared().values():
        kind = type(setting.kind).__name__
        suffix = {"Size": "_bytes", "MemoryLimit": "_bytes", "Seconds": "_s", "Milliseconds": "_ms"}.get(kind, "")
        assert setting.attribute.endswith(suffix), setting.name


def test_every_setting_is_read_by_the_program() -> None:
    """A setting that nothing reads is a lie."""
    package = Path(config.__file__).parent.parent
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in package.rglob("*.py") if path.parent.name != "config"
    )
    unread = [
        field.name for field in dataclasses.fields(config.Settings) if not re.search(rf"\.{field.name}\b", source)
    ]
    assert set(unread) <= {"config_file"}
