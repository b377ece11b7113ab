"""The rig of bench/run: a stage of namespaces, proxies on it, loads through them, and a report."""

import sys
from pathlib import Path

# Namespaces, processes and waiting are those of the integration tests.
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "integration"))
