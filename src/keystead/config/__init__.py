"""One configuration: declared in `settings`, read by `sources`, shown and changed at run time by `parameters`.

Knows nothing of the engine, of sockets or of commands. Imported by the server and the command line; the embedded store
takes plain arguments.
"""

from keystead.config.parameters import ParameterRefused, UnknownParameter, changed, parameters, reread, rewrite, shown
from keystead.config.settings import FIXED_PARAMETERS, Setting, Settings, declared
from keystead.config.sources import load

__all__ = [
    "FIXED_PARAMETERS",
    "ParameterRefused",
    "Setting",
    "Settings",
    "UnknownParameter",
    "changed",
    "declared",
    "load",
    "parameters",
    "reread",
    "rewrite",
    "shown",
]
