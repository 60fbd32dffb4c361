"""The engine's side of a parity run: a child process that answers JSON lines (`engine/core/examples/parity_probe`)."""

import json
import subprocess


class Probe:
    """One probe process; `ask` sends a request and waits for its answer."""

    def __init__(self, program):
        self._child = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, op, **fields):
        self._child.stdin.write(json.dumps({"op": op, **fields}) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"the engine ended on a request `{op}` (code {self._child.wait()}); its message is above")
        return json.loads(line)

    def open(self, model, form="f32", threads=2):
        """`form`: f32 or nf4 (blocks of 64, double quantization)."""
        return self.ask("open", model=str(model), format=form, threads=threads)

    def close(self):
        self._child.stdin.close()
        self._child.wait()
