"""Every setting, declared once.

Options of the command line, names of environment variables, keys of the configuration file, CONFIG GET and SET, and
docs/configuration.md are views of these declarations. The name of an attribute carries the unit; people write
`history-max-age = "7d"`, the program reads `settings.history_max_age_s`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from keystead.config.values import (
    Addresses,
    Choice,
    Directory,
    FileMode,
    FilePath,
    Hosts,
    Integer,
    Kind,
    MemoryLimit,
    Milliseconds,
    Names,
    Seconds,
    Size,
    Text,
    YesNo,
)

_MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Setting:
    """One declaration: what people call it, how it is read, what it is by default, what it does."""

    name: str
    kind: Kind
    default: str
    description: str
    group: str
    redis_name: str
    """Its name for CONFIG GET and SET: Redis' where Redis has the same setting, else ours."""
    reloadable: bool
    """CONFIG SET may change it while the server runs."""
    secret: bool
    """Never shown; may be read from a file named by the same setting with "-file" appended."""
    of_store: bool
    """It is about a store's own data: in front of a cluster the nodes have settings of their own."""
    attribute: str = ""
    """The name in Settings."""

    @property
    def environment_name(self) -> str:
        return "KEYSTEAD_" + self.name.upper().replace("-", "_")


def _setting(
    name: str,
    kind: Kind,
    default: str,
    description: str,
    *,
    group: str,
    redis: str = "",
    reloadable: bool = False,
    secret: bool = False,
    of_store: bool = False,
) -> Any:
    declaration = Setting(name, kind, default, description, group, redis or name, reloadable, secret, of_store)
    return field(default_factory=lambda: kind.parse(default), metadata={"setting": declaration})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of one server. `Settings()` is all defaults; `dataclasses.replace` makes another."""

    # --- where
    directory: Path = _setting(
        "dir", Directory(), "./keystead-data", "The data directory; created when missing.", group="Where"
    )
    hosts: tuple[str, ...] = _setting(
        "host", Hosts(), "127.0.0.1", "Addresses to listen on, separated by commas.", group="Where", redis="bind"
    )
    port: int = _setting(
        "port", Integer(0, 65535), "7379", "TCP port for the Redis protocol; 0 for none.", group="Where"
    )
    unix_path: Path | None = _setting(
        "unix", FilePath(), "", "Path of a Unix socket to listen on as well.", group="Where", redis="unixsocket"
    )
    unix_mode: int = _setting(
        "unix-mode", FileMode(), "700", "Permissions of the Unix socket.", group="Where", redis="unixsocketperm"
    )
    tcp_backlog: int = _setting(
        "tcp-backlog", Integer(1, 65535), "511", "Connections that may wait to be accepted.", group="Where"
    )

    # --- HTTP
    http_port: int = _setting("http-port", Integer(0, 65535), "7380", "TCP port for HTTP; 0 for none.", group="HTTP")
    http_hosts: tuple[str, ...] = _setting(
        "http-host",
        Names("ADDRESS"),
        "",
        "Addresses to listen on for HTTP, separated by commas; those of host when empty.",
        group="HTTP",
    )
    http_allowed_hosts: tuple[str, ...] = _setting(
        "http-allowed-hosts",
        Names("NAME"),
        "",
        "Names, beside this machine's own name and addresses, by which HTTP requests may ask for this server (their "
        "Host header); * for any. Other names are refused, because a foreign page could point its own at this server.",
        group="HTTP",
        reloadable=True,
    )
    http_allowed_origins: tuple[str, ...] = _setting(
        "http-allowed-origins",
        Names("ORIGIN"),
        "",
        "Sites, such as https://example.com, whose pages may send requests that change data; * for any.",
        group="HTTP",
        reloadable=True,
    )
    http_max_connections: int = _setting(
        "http-max-connections",
        Integer(1, 1_000_000),
        "4096",
        "HTTP connections at a time.",
        group="HTTP",
        reloadable=True,
    )
    http_max_connections_per_address: int = _setting(
        "http-max-connections-per-address",
        Integer(0, 1_000_000),
        "2048",
        "HTTP connections at a time from one address; 0 is no bound.",
        group="HTTP",
        reloadable=True,
    )
    http_header_timeout_s: int = _setting(
        "http-header-timeout",
        Seconds(),
        "10s",
        "How long a client may take to send the head of a request.",
        group="HTTP",
        reloadable=True,
    )
    http_idle_timeout_s: int = _setting(
        "http-idle-timeout",
        Seconds(),
        "75s",
        "Close an HTTP connection on which nothing was asked for so long; 0 is never.",
        group="HTTP",
        reloadable=True,
    )

    # --- TLS
    tls_port: int = _setting(
        "tls-port",
        Integer(0, 65535),
        "0",
        "TCP port for the Redis protocol over TLS, beside or instead of port; 0 for none.",
        group="TLS",
    )
    http_tls_port: int = _setting(
        "http-tls-port",
        Integer(0, 65535),
        "0",
        "TCP port for HTTP over TLS, beside or instead of http-port; 0 for none.",
        group="TLS",
    )
    tls_cert_file: Path | None = _setting(
        "tls-cert-file",
        FilePath(),
        "",
        "The server's certificate (PEM), with the certificates between it and the authority. SIGHUP reads it anew.",
        group="TLS",
    )
    tls_key_file: Path | None = _setting(
        "tls-key-file",
        FilePath(),
        "",
        "The certificate's private key (PEM); when not set it is in tls-cert-file. SIGHUP reads it anew.",
        group="TLS",
    )
    tls_key_password: str = _setting(
        "tls-key-file-pass",
        Text(),
        "",
        "Password of the private key; none when empty.",
        group="TLS",
        secret=True,
    )
    tls_ca_cert_file: Path | None = _setting(
        "tls-ca-cert-file",
        FilePath(),
        "",
        "Certificates (PEM) of the authorities whose client certificates are believed. SIGHUP reads it anew.",
        group="TLS",
    )
    tls_auth_clients: Literal["auto", "no", "optional", "yes"] = _setting(
        "tls-auth-clients",
        Choice("auto", "no", "optional", "yes"),
        "auto",
        "Whether a client must show a certificate (yes), may (optional), or is not asked (no). A client that shows one "
        "is logged in as the user that the certificate's common name (CN) names, if there is one. "
        "auto is yes when tls-ca-cert-file is set, else no.",
        group="TLS",
    )

    # --- durability
    fsync: Literal["always", "interval", "never"] = _setting(
        "fsync",
        Choice("always", "interval", "never", redis_words={"interval": "everysec", "never": "no"}),
        "always",
        "When a write is on disk: before it is acknowledged, within a second, or whenever the system likes.",
        group="Durability",
        redis="appendfsync",
        reloadable=True,
        of_store=True,
    )
    segment_bytes: int = _setting(
        "segment-size",
        Size(_MEBIBYTE),
        "64mb",
        "A log segment is closed, and a new one begun, at this size.",
        group="Durability",
        of_store=True,
    )
    backup_places: tuple[str, ...] = _setting(
        "backup-places",
        Names("PLACE"),
        "",
        "Where backups may be taken over HTTP, from the console too: directories or s3://bucket/prefix, separated by "
        "commas; none when empty. keystead backup takes them anywhere.",
        group="Durability",
        of_store=True,
    )
    shutdown_timeout_s: int = _setting(
        "shutdown-timeout",
        Seconds(),
        "10s",
        "How long a stopping server waits for clients to take their last replies.",
        group="Durability",
        reloadable=True,
    )

    # --- memory and history
    maxmemory_bytes: int = _setting(
        "maxmemory",
        MemoryLimit(),
        "auto",
        "Memory for the data; at this bound writes that add data are refused with -OOM, because a store without a "
        "bound is killed by the kernel. auto is 60 % of the memory this process may use (its control group's limit, "
        "else the machine's); 0 is no bound.",
        group="Memory and history",
        reloadable=True,
        of_store=True,
    )
    history_max_age_s: int = _setting(
        "history-max-age",
        Seconds(),
        "7d",
        "History older than this is dropped, one generation (a checkpoint and the log after it) at a time.",
        group="Memory and history",
        reloadable=True,
        of_store=True,
    )
    history_max_bytes: int = _setting(
        "history-max-bytes",
        Size(),
        "1gb",
        "Older generations are dropped, oldest first, while all but the newest together are larger than this.",
        group="Memory and history",
        reloadable=True,
        of_store=True,
    )

    # --- clients
    requirepass: str = _setting(
        "requirepass",
        Text(),
        "",
        "Password of the default user, which clients give with AUTH; when empty it has the one of the ACL file, else "
        "none. Prefer the file: a command line is public.",
        group="Clients",
        reloadable=True,
        secret=True,
    )
    protected_mode: bool = _setting(
        "protected-mode",
        YesNo(),
        "yes",
        "While nobody has to log in, serve only clients of this machine, whatever host says.",
        group="Clients",
        reloadable=True,
    )
    insecure: bool = _setting(
        "insecure",
        YesNo(),
        "no",
        "Listen on an address of other machines although nobody has to log in, and serve them. Everybody who reaches "
        "the address may then read and change everything.",
        group="Clients",
    )
    acl_file: Path | None = _setting(
        "aclfile",
        FilePath(),
        "users.acl",
        "The file of users and their permissions; a relative path is in the data directory. Empty: users are not kept.",
        group="Clients",
    )
    acl_log_max_entries: int = _setting(
        "acllog-max-len",
        Integer(0, 1_000_000),
        "128",
        "Refusals that ACL LOG keeps.",
        group="Clients",
        reloadable=True,
    )
    max_clients: int = _setting(
        "max-clients",
        Integer(1, 1_000_000),
        "10000",
        "Clients at a time.",
        group="Clients",
        redis="maxclients",
        reloadable=True,
    )
    login_timeout_s: int = _setting(
        "login-timeout",
        Seconds(),
        "30s",
        "Close a client that has to log in and has not done so after this time; 0 is never.",
        group="Clients",
        reloadable=True,
    )
    idle_timeout_s: int = _setting(
        "timeout",
        Seconds(),
        "0",
        "Close a client that was silent for so long; 0 is never.",
        group="Clients",
        reloadable=True,
    )
    tcp_keepalive_s: int = _setting(
        "tcp-keepalive",
        Seconds(),
        "300s",
        "Probe a silent TCP client this often to find out whether its machine is gone; 0 is never.",
        group="Clients",
    )

    # --- limits
    max_value_bytes: int = _setting(
        "max-value-bytes",
        Size(_MEBIBYTE),
        "64mb",
        "The largest key, value or other argument.",
        group="Limits",
        redis="proto-max-bulk-len",
        reloadable=True,
    )
    max_query_buffer_bytes: int = _setting(
        "max-query-buffer",
        Size(_MEBIBYTE),
        "128mb",
        "What one client may have sent of a command that is not complete; beyond it the client is closed.",
        group="Limits",
        redis="client-query-buffer-limit",
        reloadable=True,
    )
    output_buffer_hard_bytes: int = _setting(
        "output-buffer-hard",
        Size(),
        "64mb",
        "A client that has more than this of unread replies is closed at once; 0 is no bound.",
        group="Limits",
        reloadable=True,
    )
    output_buffer_soft_bytes: int = _setting(
        "output-buffer-soft",
        Size(),
        "16mb",
        "A client that has more than this of unread replies for output-buffer-soft-time is closed; 0 is no bound.",
        group="Limits",
        reloadable=True,
    )
    output_buffer_soft_s: int = _setting(
        "output-buffer-soft-time", Seconds(), "30s", "See output-buffer-soft.", group="Limits", reloadable=True
    )

    # --- cluster
    cluster: tuple[tuple[str, int], ...] = _setting(
        "cluster",
        Addresses(),
        "",
        "Serve a Redis or Valkey Cluster instead of a data directory: addresses of some of its nodes, separated by "
        "commas. The others are found through them. dir is then only where the file of users is.",
        group="Cluster",
    )
    cluster_username: str = _setting(
        "cluster-username",
        Text(),
        "",
        "The user of the nodes that Keystead logs in as; empty: default.",
        group="Cluster",
    )
    cluster_password: str = _setting(
        "cluster-password",
        Text(),
        "",
        "That user's password; none when empty. Prefer the file: a command line is public.",
        group="Cluster",
        secret=True,
    )
    cluster_tls: bool = _setting("cluster-tls", YesNo(), "no", "Speak TLS to the nodes.", group="Cluster")
    cluster_tls_ca_cert_file: Path | None = _setting(
        "cluster-tls-ca-cert-file",
        FilePath(),
        "",
        "Certificates (PEM) of the authorities by which the nodes' certificates are believed; the machine's own when "
        "not set.",
        group="Cluster",
    )
    cluster_tls_cert_file: Path | None = _setting(
        "cluster-tls-cert-file",
        FilePath(),
        "",
        "Keystead's certificate (PEM) for nodes that ask for one; none when not set.",
        group="Cluster",
    )
    cluster_tls_key_file: Path | None = _setting(
        "cluster-tls-key-file",
        FilePath(),
        "",
        "That certificate's private key (PEM); when not set it is in cluster-tls-cert-file.",
        group="Cluster",
    )
    cluster_tls_check_hostname: bool = _setting(
        "cluster-tls-check-hostname",
        YesNo(),
        "yes",
        "Whether a node's certificate must name the address by which the cluster knows the node.",
        group="Cluster",
    )
    cluster_acknowledge: Literal["replicated", "async"] = _setting(
        "cluster-acknowledge",
        Choice("replicated", "async"),
        "replicated",
        "When a write is acknowledged: when its primary and at least one replica have it, or when its primary has it, "
        "which loses writes when a primary fails.",
        group="Cluster",
    )
    cluster_wait_timeout_ms: int = _setting(
        "cluster-wait-timeout",
        Milliseconds(),
        "1s",
        "How long a replica may take to confirm a write; after that its outcome is unknown, and the client is told so.",
        group="Cluster",
    )
    cluster_timeout_ms: int = _setting(
        "cluster-timeout",
        Milliseconds(),
        "5s",
        "How long a command is kept while the cluster cannot take it, as during a failover, and how long a node may "
        "be silent before its connections are cut.",
        group="Cluster",
    )

    # --- watching it work
    slowlog_slower_than_us: int = _setting(
        "slowlog-log-slower-than",
        Integer(-1, 2**62),
        "10000",
        "Commands that run longer than so many microseconds enter the slow log; 0 is every command, -1 none.",
        group="Watching it work",
        reloadable=True,
    )
    slowlog_max_entries: int = _setting(
        "slowlog-max-len",
        Integer(0, 1_000_000),
        "128",
        "Entries the slow log keeps.",
        group="Watching it work",
        reloadable=True,
    )
    latency_tracking: bool = _setting(
        "latency-tracking",
        YesNo(),
        "no",
        "Time each command, for LATENCY HISTOGRAM and INFO latencystats; costs a little on every command.",
        group="Watching it work",
        reloadable=True,
    )
    latency_threshold_ms: int = _setting(
        "latency-monitor-threshold",
        Integer(0, 2**31 - 1),
        "0",
        "Pauses of at least so many milliseconds are kept for LATENCY LATEST and HISTORY; 0 is none.",
        group="Watching it work",
        reloadable=True,
    )
    log_level: Literal["debug", "info", "warning"] = _setting(
        "loglevel",
        Choice("debug", "info", "warning", redis_words={"info": "notice"}),
        "info",
        "How much the server writes to its log (standard error).",
        group="Watching it work",
        reloadable=True,
    )
    log_format: Literal["text", "json"] = _setting(
        "log-format",
        Choice("text", "json"),
        "text",
        "Lines for people, or one JSON object a line.",
        group="Watching it work",
    )
    log_operations: bool = _setting(
        "log-operations",
        YesNo(),
        "no",
        "Log every command with its time, user, client, keys and result, never with a value. Lines that nobody takes "
        "in time are dropped and counted.",
        group="Watching it work",
        reloadable=True,
    )
    operations_log_file: Path | None = _setting(
        "operations-log-file",
        FilePath(),
        "",
        "Where log-operations writes, as JSON lines; opened anew at SIGHUP. Without it they go to standard error, in "
        "log-format.",
        group="Watching it work",
    )

    @property
    def acl_path(self) -> Path | None:
        """Where the users are; None for nowhere."""
        return self.directory / self.acl_file if self.acl_file is not None else None

    config_file: Path | None = None
    """The file it was read from, for CONFIG REWRITE; not a setting."""


FIXED_PARAMETERS: Final = {
    "databases": "16",
    "appendonly": "yes",
    "save": "",
    "maxmemory-policy": "noeviction",
    "cluster-enabled": "no",
    "acl-pubsub-default": "resetchannels",
}
"""What CONFIG GET also answers: true of Keystead and not to be changed."""


@cache
def declared() -> dict[str, Setting]:
    """Every setting by its name, in the order of declaration."""
    found = {}
    for attribute in dataclasses.fields(Settings):
        if "setting" in attribute.metadata:
            setting = dataclasses.replace(attribute.metadata["setting"], attribute=attribute.name)
            found[setting.name] = setting
    return found
