"""The benchmarks are a package beside the source, not in it: found from the repository root."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
