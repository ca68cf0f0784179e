"""Completion in bash, zsh and fish: the script that `--show-completion` prints, and what the shells are told."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command import COUNTERSIGN, run
from tests.unit.test_common_options import ROOT as COMMAND

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
COMMANDS = {name for name, item in COMMAND.commands.items() if not item.hidden}
CASES = set(COMMAND.commands["cases"].commands)
NAMES = {"bash": "complete_bash", "zsh": "complete_zsh", "fish": "complete_fish"}


def script(shell: str) -> str:
    """What a person of this shell is given. The variable takes the place of finding out which shell called."""
    found = run(*("--show-completion", shell), PYTHONPATH=str(ROOT), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout


def told(shell: str, line: str) -> str:
    """What the shell is told when it asks for the words that may follow `line`."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)} if shell == "bash" else {}
    asked |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    return run(PYTHONPATH=str(ROOT), _COUNTERSIGN_COMPLETE=NAMES[shell], **asked).stdout  # type: ignore[arg-type]


@pytest.mark.parametrize("shell", sorted(NAMES))
def test_the_script_asks_the_command_and_is_told_every_command(shell: str) -> None:
    assert f"_COUNTERSIGN_COMPLETE={NAMES[shell]}" in script(shell)
    commands, cases = (set(re.findall(r"[\w-]+", told(shell, f"countersign {words}"))) for words in ("", "cases "))
    assert commands >= COMMANDS
    assert "deadletter" not in commands
    assert cases >= CASES
    assert "--department" in told(shell, "countersign cases list --dep")


def test_bash_completes_what_is_typed(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    (tmp_path / "completion.sh").write_text(script("bash"))
    typed = (
        "source completion.sh; COMP_WORDS=(countersign cases re); COMP_CWORD=2; "
        'complete -p countersign >&2; _countersign_completion countersign; echo "${COMPREPLY[@]}"'
    )
    environment = os.environ | {"PATH": f"{COUNTERSIGN.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [bash, "-c", typed], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert "-F _countersign_completion countersign" in done.stderr
    assert done.stdout.split() == ["retry", "reassign", "reimport"]
