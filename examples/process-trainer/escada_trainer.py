"""The trainer protocol (plugins/process-trainer/PROTOCOL.md) for Python scripts; nothing but the standard library.

A script gives `serve` its handshake and a function `train(params, report)`, which returns the result. `report` sends
events and says whether the training was cancelled.
"""

import json
import os
import queue
import sys
import threading
import traceback

VERSION = 1


class TrainerError(Exception):
    """An error with a code of the page; any other exception is reported by the name of its class."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Pipe:
    """One JSON object a line on descriptors 3 (in) and 4 (out); safe to write from several threads."""

    def __init__(self):
        self.requests = os.fdopen(3, "r", encoding="utf-8", newline="\n")
        self.replies = os.fdopen(4, "w", encoding="utf-8", newline="\n")
        self.lock = threading.Lock()

    def send(self, request, **message):
        # NaN is not JSON: better an error here than a line that nobody can read.
        line = json.dumps({"v": VERSION, "id": request, **message}, allow_nan=False)
        with self.lock:
            self.replies.write(line + "\n")
            self.replies.flush()


class Report:
    """What a training tells while it runs."""

    def __init__(self, pipe, request):
        self.pipe, self.request = pipe, request
        self.cancelled = threading.Event()

    def progress(self, **fields):
        self.pipe.send(self.request, event={"kind": "progress", **fields})

    def checkpoint(self, step):
        """The folder `checkpoint-<step>` is whole: its files are closed and will not be written again."""
        self.pipe.send(self.request, event={"kind": "checkpoint", "step": step})

    def alive(self, doing):
        self.pipe.send(self.request, event={"kind": "alive", "doing": doing})

    def stop_if_cancelled(self):
        if self.cancelled.is_set():
            raise TrainerError("TRAINER_CANCELLED", "stopped as asked")


def serve(hello, train):
    """Answers requests until the worker closes the pipe. Reading has a thread of its own, so that `cancel` is heard."""
    pipe, trainings = Pipe(), queue.Queue()
    reports = {}

    def read():
        for line in pipe.requests:
            message = json.loads(line)
            request, method, params = message["id"], message["method"], message["params"]
            if method == "hello":
                pipe.send(request, result=hello)
            elif method == "train":
                reports[request] = Report(pipe, request)
                trainings.put((request, params))
            elif method == "cancel":
                found = reports.get(params["target"])
                if found is not None:
                    found.cancelled.set()
                pipe.send(request, result={"cancelled": found is not None})
        # The worker is gone or done: nobody is left to train for.
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        request, params = trainings.get()
        try:
            pipe.send(request, result=train(params, reports[request]))
        except TrainerError as error:
            pipe.send(request, error={"code": error.code, "message": str(error)})
        except Exception as error:  # Whatever it is, the worker should hear of it.
            traceback.print_exc(file=sys.stderr)
            sys.stderr.flush()
            pipe.send(request, error={"code": type(error).__name__, "message": str(error)})
