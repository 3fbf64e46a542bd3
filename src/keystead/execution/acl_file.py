"""The ACL file: one line a user, in Redis' words.

    user default off resetchannels -@all
    user alice on #scrypt$15$8$1$…$… ~app:* resetchannels -@all +@read

Files of Redis are read as they are; what is written differs from them only in `#scrypt$…`, which Redis refuses and
cannot mistake for anything else. Replaced as a whole, so that after a power cut it is the old one or the new one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from keystead.engine.files import Directory, make_directory
from keystead.errors import ConfigurationError, DiskFailure
from keystead.execution.acl_rules import Definition, RuleRefused, UnmatchedParenthesis, applied, is_valid_name, merged

Definitions = dict[bytes, Definition]


class AclFile:
    """One file of users; it need not exist."""

    def __init__(self, path: Path, *, makes_directory: bool = False) -> None:
        """*makes_directory*: the directory that it is in may be missing, and is made before the file is written."""
        self.path = path
        self._makes_directory = makes_directory
        self._lock = threading.Lock()
        self._asked = 0
        self._written = 0

    def read(self) -> Definitions:
        """The users in it; none when there is no file. ConfigurationError names the file and the line."""
        if not self.path.exists():
            return {}
        definitions, errors = self.read_leniently()
        if errors:
            raise ConfigurationError(" ".join(errors))
        return definitions

    def read_leniently(self) -> tuple[Definitions, list[str]]:
        """The users in it, and a sentence for each line that makes no sense; those lines' users are left out."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError as error:
            return {}, [f"Error loading ACLs, opening file '{self.path}': {error.strerror}."]
        definitions: Definitions = {}
        errors: list[str] = []
        for number, text in enumerate(lines, 1):
            words = text.strip(b" \t\r").split(b" ")
            if words == [b""]:
                continue
            try:
                name, definition = self._user(words, definitions)
            except ValueError as wrong:
                errors.append(f"{self.path}:{number}{wrong}.")
            else:
                definitions[name] = definition
        return definitions, errors

    @staticmethod
    def _user(words: list[bytes], known: Definitions) -> tuple[bytes, Definition]:
        """One line. ValueError: what is wrong with it, beginning with what separates it from the place."""
        if words[0] != b"user" or len(words) < 2:
            raise ValueError(" should start with user keyword followed by the username")
        name = words[1]
        if not is_valid_name(name):
            raise ValueError(f": username '{_text(name)}' contains invalid characters")
        if name in known:
            raise ValueError(f": Duplicate user '{_text(name)}' found")
        try:
            return name, applied(Definition(), merged(words[2:]))
        except RuleRefused as refused:
            shown = _text(refused.text)
            raise ValueError(f": Error in applying operation '{shown}': {refused.reason}") from None
        except UnmatchedParenthesis:
            raise ValueError(": Unmatched parenthesis in selector definition") from None

    def writing(self, definitions: Mapping[bytes, Definition]) -> Callable[[], str | None]:
        """A function that writes these users and returns None, or why it could not. It may be called in any thread,
        and changes nothing when a later one was quicker."""
        self._asked += 1
        number, data = self._asked, encoded(definitions)

        def write() -> str | None:
            with self._lock:
                if number < self._written:
                    return None
                try:
                    self.replace(data)
                except (OSError, DiskFailure) as failure:
                    reason = failure.strerror if isinstance(failure, OSError) else str(failure)
                    return f"{self.path} cannot be written: {reason}"
                self._written = number
                return None

        return write

    def replace(self, data: bytes) -> None:
        """Put other contents into the file, durably. OSError, DiskFailure."""
        directory = Directory(os.path.dirname(os.path.abspath(self.path)))
        if self._makes_directory:
            make_directory(directory.system, directory.path)
        directory.replace(self.path.name, data)


def encoded(definitions: Mapping[bytes, Definition]) -> bytes:
    """The contents of a file with these users, by name."""
    return b"".join(line(name, definitions[name].to_keep()) + b"\n" for name in sorted(definitions))


def line(name: bytes, definition: Definition) -> bytes:
    """A user's line, without its end; ACL LIST shows the same."""
    return b" ".join([b"user", name, *(word.encode("utf-8", "surrogateescape") for word in definition.words())])


def _text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
