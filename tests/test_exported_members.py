"""The public surface: what a program may use, and nothing else."""

from __future__ import annotations

import inspect
import re

import keystead
from keystead import errors

PUBLIC = {
    "open",
    "connect",
    "Store",
    "Transaction",
    "Codec",
    "Change",
    "Deleted",
    "Difference",
    "PastView",
    "Undone",
    "text",
    "json",
    "msgpack",
    "pickle",
    "__version__",
}

STORE_METHODS = {
    "at",
    "clear",
    "close",
    "closed",
    "compare_and_set",
    "delete_many",
    "deleted",
    "diff",
    "expire",
    "forget",
    "get",
    "get_many",
    "history",
    "increment",
    "items",
    "keys",
    "persist",
    "pop",
    "popitem",
    "restore",
    "set",
    "setdefault",
    "sync",
    "transaction",
    "ttl",
    "undo",
    "update",
    "values",
}

ASYNC_METHODS = {
    "aclear",
    "aclose",
    "acompare_and_set",
    "adelete",
    "adelete_many",
    "aforget",
    "aget",
    "aget_many",
    "aincrement",
    "aitems",
    "apop",
    "arestore",
    "aset",
    "asetdefault",
    "atransaction",
    "aundo",
    "aupdate",
}


def error_names() -> set[str]:
    return {name for name, member in vars(errors).items() if inspect.isclass(member) and issubclass(member, Exception)}


def test_the_package_exports_these_names_and_no_others() -> None:
    assert set(keystead.__all__) == PUBLIC | error_names()
    assert set(dir(keystead)) == set(keystead.__all__)


def test_every_exported_name_is_there() -> None:
    for name in keystead.__all__:
        assert getattr(keystead, name) is not None


def test_every_error_is_a_keystead_error() -> None:
    for name in error_names():
        assert issubclass(getattr(keystead, name), keystead.KeysteadError)


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    assert not hasattr(keystead, "opne")
    assert not hasattr(keystead, "embeded")


def test_a_store_has_these_methods_and_no_others() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(keystead.Store) == STORE_METHODS | ASYNC_METHODS
    past = {"at", "deleted", "diff", "history", "restore", "undo"}
    assert public(keystead.Transaction) == STORE_METHODS - past - {"close", "closed", "forget", "sync", "transaction"}


def test_every_public_method_says_what_it_does() -> None:
    for name in STORE_METHODS | ASYNC_METHODS:
        assert inspect.getdoc(getattr(keystead.Store, name)), name


def test_the_version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", keystead.__version__)
