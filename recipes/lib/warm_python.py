"""An interpreter that is already warm: it runs commands in forks of a process that has imported torch and fairseq.

    warm_python.py serve SOCKET [MODULE..]  serve until standard input ends; says "ready" when it can be used, which is
                                            when it has imported these modules too
    warm_python.py run SOCKET ARGUMENTS     what `python ARGUMENTS` does, for -m MODULE, -c CODE and FILE

`recipes/test.sh` tries recipes with two updates per training, where importing fairseq would take most of the time; so
do tests. A command has its own arguments, environment, folder, standard streams and exit status, as in a process
of its own. WARM_PYTHON in the server's environment names a program that does ``run``: commands then find it as
``sys.executable``.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence

IMPORTED = (
    "torch",
    "fairseq_cli.train",
    "fairseq_xalign.tasks.align_mlm",
    "fairseq_xalign.tasks.mnmt",
    "fairseq_xalign.tasks.xling",
)
POLL = 0.02
"""Seconds between two looks at a command that runs."""


def run(path: str, arguments: list[str]) -> int:
    """Have the server run a command; return its exit status."""
    request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [b"streams"], [0, 1, 2])
        connection.sendall(json.dumps(request).encode() + b"\n")
        status = connection.makefile().readline()
    return int(status or 1)


def serve(path: str, further: Sequence[str] = ()) -> None:
    """Run what :func:`run` asks for, several commands at once, until standard input ends."""
    for name in (*IMPORTED, *further):
        __import__(name)
    gc.freeze()  # what is imported stays: collecting it again and again would take time in every command
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that answer
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([server, 0], [], [])
            if 0 in ready and not os.read(0, 1):
                return
            if server in ready:
                connection, _ = server.accept()
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    answer(connection)
                connection.close()


def answer(connection: socket.socket) -> None:
    """Run one command in a fork, and send its exit status; end it if the client ends first."""
    _, streams, _, _ = socket.recv_fds(connection, 16, 3)
    request = json.loads(connection.makefile().readline())
    command = os.fork()
    if command == 0:
        os.setpgid(0, 0)
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        execute(**request)
    for stream in streams:
        os.close(stream)
    while True:
        done, status = os.waitpid(command, os.WNOHANG)
        if done:
            connection.sendall(f"{abs(os.waitstatus_to_exitcode(status))}\n".encode())
            os._exit(0)
        gone, _, _ = select.select([connection], [], [], 0)
        if gone:
            os.killpg(command, signal.SIGTERM)
            os._exit(1)
        time.sleep(POLL)


def execute(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Be ``python ARGUMENTS``, in this process."""
    import importlib.util
    import runpy
    import warnings

    import torch

    sys.executable = os.environ.get("WARM_PYTHON", sys.executable)  # what its own commands start is warm, too
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    if environment.get("PYTHONWARNINGS"):
        warnings.simplefilter(environment["PYTHONWARNINGS"])  # type: ignore[arg-type]
    if environment.get("OMP_NUM_THREADS"):
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode, closefd=False) for n, mode in enumerate("rww"))
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    sys.stderr.reconfigure(line_buffering=True)
    status: object = 0
    try:
        if arguments[0] == "-m":
            sys.argv, sys.path[0] = arguments[1:], folder
            found = importlib.util.find_spec(arguments[1])
            if found is not None and found.origin:
                sys.argv[0] = found.origin  # error messages after the module's end name the program by it
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        elif arguments[0] == "-c":
            sys.argv, sys.path[0] = ["-c", *arguments[2:]], folder
            exec(arguments[1], {"__name__": "__main__"})
        else:
            sys.argv, sys.path[0] = arguments, os.path.dirname(os.path.abspath(arguments[0]))
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as error:
        status = error.code
        if status is not None and not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())  # ours, where a command has installed it
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(status or 0))


if __name__ == "__main__":
    what, path, *rest = sys.argv[1:]
    if what == "serve":
        serve(path, rest)
    else:
        sys.exit(run(path, rest))
