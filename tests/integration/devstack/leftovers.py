"""A supervisor that dies: a process that starts an embedded server, and is killed before it can stop it."""

import subprocess
import sys
from pathlib import Path

START = """
import sys
from pathlib import Path
{imports}
{create}.start()
print("ready", flush=True)
sys.stdin.read()
"""


def start_and_die(imports: str, create: str, data_dir: Path) -> None:
    """Runs `create` (its folder is `Path(sys.argv[1])`) and SIGKILLs the process once the server answers."""
    code = START.format(imports=imports, create=create)
    supervisor = subprocess.Popen(
        [sys.executable, "-c", code, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert supervisor.stdout is not None
    try:
        assert supervisor.stdout.readline() == b"ready\n"
    finally:
        supervisor.kill()
        supervisor.communicate()
