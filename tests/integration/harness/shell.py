"""Interactive shells on a terminal of their own, in which Tab completes."""

import os
import pty
import subprocess
import threading
from pathlib import Path

from .daemon import BINARY
from .waiting import wait_until

COMPLETIONS = Path(__file__).parents[3] / "completions"

#: For both: `nsrelay` on the command line leaves its arguments in a file; the completion itself asks
#: the real program, which it finds in the path.
_RECORD = "PS1=; nsrelay() {{ printf '%s\\n' \"$@\" end >{folder}/typed.new; mv {folder}/typed.new {folder}/typed; }}\n"

_BASH = """
bind 'set enable-bracketed-paste off'
source {completions}/nsrelay.bash
"""

#: The widget `offers` writes what would be offered to a file, in place of showing it.
_ZSH = """
unset zle_bracketed_paste
fpath=({completions} $fpath)
autoload -Uz compinit && compinit -u -d {folder}/zcompdump
zstyle ':completion:*' list-prompt ''
LISTMAX=1000
offer() {{
  compadd() {{
    local -a hits
    if (( ! ${{@[(I)-(O|A|D)]}} )); then
      builtin compadd -A hits "$@"
      print -rl -- $hits >>{folder}/offered.new
    fi
    builtin compadd "$@"
  }}
  : >{folder}/offered.new
  _main_complete
  mv {folder}/offered.new {folder}/offered
  compstate[insert]= compstate[list]=
}}
zle -C offer complete-word offer
bindkey '^X^O' offer
"""


class Shell:
    """A shell with the completion of nsrelay. close() ends it."""

    def __init__(self, name: str, folder: Path) -> None:
        self._folder = folder
        self._terminal, there = pty.openpty()
        program = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[name]
        folder.joinpath("bin").mkdir()
        folder.joinpath("bin/nsrelay").symlink_to(Path(BINARY).resolve())
        environment = {**os.environ, "TERM": "dumb", "HOME": str(folder),
                       "PATH": f"{folder}/bin:{os.environ['PATH']}"}
        self._process = subprocess.Popen(
            program, stdin=there, stdout=there, stderr=there, cwd=folder, env=environment,
            start_new_session=True,
        )
        os.close(there)
        threading.Thread(target=self._discard_output, daemon=True).start()
        setup = ((_BASH if name == "bash" else _ZSH) + _RECORD).format(
            completions=COMPLETIONS, folder=folder
        )
        folder.joinpath("setup").write_text(setup + f"touch {folder}/ready\n")
        self._type(". ./setup\n")
        wait_until(folder.joinpath("ready").exists, f"{name} is ready")

    def _discard_output(self) -> None:
        try:
            while os.read(self._terminal, 4096):
                pass
        except OSError:
            pass  # The shell has ended.

    def _type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _result(self, name: str) -> list[str]:
        file = self._folder / name
        wait_until(file.exists, f"the shell has written {name}")
        lines = file.read_text().splitlines()
        file.unlink()
        return lines

    def completed(self, text: str) -> list[str]:
        """The arguments of nsrelay after `text`, Tab and Enter."""
        self._type(f"{text}\t\n")
        return self._result("typed")[:-1]

    def offered(self, text: str) -> set[str]:
        """zsh: what it would offer for the last word of `text`."""
        self._type(f"{text}\x18\x0f")
        offered = self._result("offered")
        self._type("\x15")
        return set(offered) - {""}

    def close(self) -> None:
        """Ends the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)
