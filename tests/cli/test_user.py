"""keystead user: the file of users, and the server that is told."""

from __future__ import annotations

import signal
import stat
import time
from pathlib import Path

import pytest

from cli.stores import Run, keystead
from keystead.execution.acl_file import AclFile
from keystead.execution.passwords import Scrypt, Sha256
from servers import Server, free_port, running, start_keystead
from wire import SocketConnection

NO_PERMISSION = b"NOPERM this user has no permissions to run the 'set' command"
LIMIT_S = 30.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


def user(directory: Path, *arguments: str, password: str = "") -> Run:
    return keystead("user", *arguments, "--dir", directory, text=f"{password}\n" if password else "")


def listed(directory: Path) -> dict[str, list[str]]:
    """The rows of `keystead user list` by name: login, rules."""
    run = user(directory, "list")
    assert run.status == 0
    return {row[0]: row[1:] for row in (line.split(maxsplit=2) for line in run.output.splitlines()[1:])}


def let_in(server: Server, name: str, password: str) -> bool:
    """Whether a new client may log in."""
    client = server.connect()
    try:
        return client.call("AUTH", name, password).value == b"OK"
    finally:
        client.close()


def wait_until_told(server: Server) -> None:
    """The signal is delivered at its own time; what the server logs says that it was."""
    deadline = time.monotonic() + LIMIT_S
    while "reloaded" not in server.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_first_user_closes_the_door_to_everybody_else(directory: Path) -> None:
    run = user(directory, "add", "ada", "--role", "admin", password="secret")
    assert (run.status, run.output.splitlines()[0]) == (0, "ada may log in")
    assert "ACL SETUSER default nopass" in run.output
    assert listed(directory) == {"ada": ["password", "~* &* +@all"], "default": ["impossible", "~* &* +@all"]}


def test_only_hashes_are_kept_in_a_file_that_only_its_owner_reads(directory: Path) -> None:
    user(directory, "add", "ada", "--role", "admin", password="secret")
    token = user(directory, "token", "ada").output.strip()
    path = directory / "users.acl"
    text = path.read_text()
    assert "secret" not in text
    assert token not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kinds = [type(record) for record in AclFile(path).read()[b"ada"].passwords]
    assert kinds == [Scrypt, Sha256]


def test_a_role_with_key_patterns(directory: Path) -> None:
    user(directory, "add", "ada", "--role", "read", "--keys", "app:*", "--keys", "shared", password="secret")
    assert listed(directory)["ada"][0] == "password"
    assert "%R~app:* %R~shared resetchannels -@all" in user(directory, "list").output


def test_a_user_cannot_be_added_twice(directory: Path) -> None:
    user(directory, "add", "ada", "--role", "admin", password="secret")
    before = (directory / "users.acl").read_bytes()
    run = user(directory, "add", "ada", "--role", "read", password="other")
    assert run.status == 1
    assert "there is a user ada already" in run.errors
    assert (directory / "users.acl").read_bytes() == before


@pytest.mark.parametrize("action", ["remove", "passwd", "token"])
def test_a_user_who_is_not_there_is_named_with_a_suggestion(directory: Path, action: str) -> None:
    user(directory, "add", "ada", "--role", "admin", password="secret")
    run = user(directory, action, "adda", password="secret")
    assert (run.status, run.output) == (1, "")
    assert "there is no user adda" in run.errors
    assert "ada" in run.errors.replace("adda", "")


def test_a_removed_user_is_gone_and_default_can_only_be_shut(directory: Path) -> None:
    user(directory, "add", "ada", "--role", "admin", password="secret")
    assert user(directory, "remove", "ada").status == 0
    assert user(directory, "remove", "default").status == 0
    assert listed(directory) == {"default": ["off", "~* &* +@all"]}


def test_another_password_leaves_tokens_valid_and_revoking_makes_them_void(directory: Path) -> None:
    user(directory, "add", "ada", "--role", "admin", password="secret")
    user(directory, "token", "ada")
    before = AclFile(directory / "users.acl").read()[b"ada"].passwords
    user(directory, "passwd", "ada", password="other")
    after = AclFile(directory / "users.acl").read()[b"ada"].passwords
    assert before[0] not in after
    assert before[1] in after
    user(directory, "token", "ada", "--revoke")
    last = AclFile(directory / "users.acl").read()[b"ada"].passwords
    assert before[1] not in last
    assert len(last) == 2


def test_an_empty_password_changes_nothing(directory: Path) -> None:
    run = user(directory, "add", "ada", "--role", "admin")
    assert run.status == 1
    assert "must not be empty" in run.errors
    assert not directory.exists()


def test_the_password_may_come_from_a_file(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\r\nmore\n")
    run = user(directory, "add", "ada", "--role", "admin", "--password-file", str(tmp_path / "password"))
    assert run.status == 0
    (record,) = AclFile(directory / "users.acl").read()[b"ada"].passwords
    assert record.fits(b"secret")


@pytest.mark.parametrize("name", ["", "a b"])
def test_a_name_must_be_one_word(directory: Path, name: str) -> None:
    run = user(directory, "add", name, "--role", "admin", password="secret")
    assert run.status == 2
    assert "one word" in run.errors


def test_an_unknown_action_is_a_usage_error_with_a_suggestion() -> None:
    run = keystead("user", "remvoe", "ada")
    assert run.status == 2
    assert "remove" in run.errors
    assert keystead("user").status == 2
    assert keystead("user", "--help").status == 0


def is_closed_in_time(client: SocketConnection) -> bool:
    """Whether the server disconnects the client, which goes on to ask."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        try:
            client.call("GET", "k")
        except OSError:
            client.close()
            return True
    return False


# --- a running server ------------------------------------------------------------------------------------------------


def test_a_running_server_takes_the_change_at_once_and_disconnects_who_was_removed(directory: Path) -> None:
    user(directory, "add", "root", "--role", "admin", password="secret")
    user(directory, "add", "ada", "--role", "read", password="secret")
    with running(start_keystead(directory)) as server:
        ada = server.connect()
        assert ada.call("AUTH", "ada", "secret").value == b"OK"
        assert ada.call("SET", "k", "v").value == NO_PERMISSION
        run = user(directory, "remove", "ada")
        assert "has been told" in run.errors
        assert is_closed_in_time(ada)
        assert not let_in(server, "ada", "secret")
        assert let_in(server, "root", "secret")


def test_users_are_read_anew_on_sighup_and_a_damaged_file_changes_nothing(directory: Path) -> None:
    user(directory, "add", "root", "--role", "admin", password="secret")
    with running(start_keystead(directory)) as server:
        path = directory / "users.acl"
        path.write_text(path.read_text() + "user ada on nonsense\n")
        server.process.send_signal(signal.SIGHUP)
        wait_until_told(server)
        assert "the users stay as they were" in server.log.read_text()
        assert f"{path}:3" in server.log.read_text()
        assert let_in(server, "root", "secret")


def test_a_token_of_a_running_server_logs_in(directory: Path) -> None:
    user(directory, "add", "root", "--role", "admin", password="secret")
    with running(start_keystead(directory)) as server:
        run = user(directory, "token", "root")
        assert len(run.output.splitlines()) == 1
        wait_until_told(server)
        assert let_in(server, "root", run.output.strip())


def test_what_a_server_changed_is_there_after_kill_9(directory: Path) -> None:
    with running(start_keystead(directory)) as server:
        client = server.connect()
        assert client.call("ACL", "SETUSER", "ada", "on", ">secret", "+@all", "~*").value == b"OK"
        client.close()
        server.kill()
    assert listed(directory)["ada"][0] == "password"
    with running(start_keystead(directory)) as server:
        assert let_in(server, "ada", "secret")


# --- refusing to start -----------------------------------------------------------------------------------------------


def test_a_damaged_file_is_status_78_with_file_and_line(directory: Path) -> None:
    user(directory, "add", "root", "--role", "admin", password="secret")
    path = directory / "users.acl"
    path.write_text(path.read_text() + "user ada on +nonsense\n")
    run = keystead("serve", "--dir", directory, "--port", str(free_port()), "--http-port", "0")
    assert run.status == 78
    assert f"{path}:3" in run.errors
    assert "+nonsense" in run.errors


def test_a_public_address_without_users_is_refused(directory: Path) -> None:
    run = keystead("serve", "--dir", directory, "--port", str(free_port()), "--http-port", "0", "--host", "0.0.0.0")
    assert run.status == 78
    assert "keystead user add" in run.errors
    assert "--insecure" in run.errors
    assert not directory.exists()
