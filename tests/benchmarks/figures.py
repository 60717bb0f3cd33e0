"""The figures of one run: printed as a table, kept as JSON, and put into the README when asked.

`python -m tests.benchmarks.figures` writes those of the last `make bench` into the README.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "bench.json"
README = ROOT / "README.md"
SECTION = re.compile(r"(<!-- bench[^\n]*-->\n).*?(\n<!-- /bench -->)", re.DOTALL)


@dataclass(frozen=True)
class Figure:
    """A measured line: what, the ratio that is wanted (none: printed only), what was seen."""

    what: str
    wanted: str
    measured: str


def table(figures: list[Figure]) -> str:
    lines = ["| | wanted | measured |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {f.what} | {f.wanted} | {f.measured} |" for f in figures)])


def machine() -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {_processor()}, {memory_gib:.0f} GiB, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    try:
        names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # macOS
        return subprocess.check_output(["sysctl", "-n", "machdep.cpu.brand_string"], text=True).strip()
    return names[0] if names else platform.machine()


def keep(figures: list[Figure]) -> None:
    """Beside those that an earlier run measured and this one did not: `make bench-scale` has its own."""
    KEPT.parent.mkdir(exist_ok=True)
    earlier = json.loads(KEPT.read_text())["figures"] if KEPT.exists() else []
    seen = {figure.what for figure in figures}
    others = [figure for figure in earlier if figure["what"] not in seen]
    kept = {"machine": machine(), "figures": [*others, *(asdict(figure) for figure in figures)]}
    KEPT.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


def write_readme() -> None:
    """Raises FileNotFoundError before the first `make bench`."""
    kept = json.loads(KEPT.read_text())
    figures = [Figure(**figure) for figure in kept["figures"]]
    section = f"\nMachine: {kept['machine']}, shared with others.\n\n{table(figures)}\n"
    README.write_text(SECTION.sub(lambda found: found[1] + section + found[2], README.read_text()))


if __name__ == "__main__":
    write_readme()
