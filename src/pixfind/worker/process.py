"""
One worker as a process of its own: `python -m pixfind.worker`.

Owns the process: its channels, its log, its limits, its rest between two runs, and its end together with the coordinator. What the worker does is in `pipeline`, what
the lines mean in `protocol`. A closed standard input means that the coordinator is gone: the worker ends at once, which is safe at any instant.
"""

import logging
import os
import queue
import signal
import threading
import time
from pathlib import Path
from typing import NoReturn, TextIO

from pixfind import errors, machine
from pixfind.images import decode
from pixfind.storage import logs
from pixfind.worker import pipeline, protocol
from pixfind.worker.protocol import FromWorker, WorkerConfig

_PARENT_SECONDS = 1.0

log = logging.getLogger("pixfind.worker")


def main() -> NoReturn:
    """Run as `python -m pixfind.worker`: the configuration is the first line of standard input."""
    coordinator = int(os.environ.get(protocol.COORDINATOR, os.getppid()))
    threading.Thread(target=_end_with, args=(coordinator,), daemon=True).start()
    source, channel = _own_channels()
    guard = threading.Lock()

    def send(message: FromWorker) -> None:
        with guard:
            channel.write(protocol.encode(message) + "\n")
            channel.flush()

    config = _read_config(source, send)
    _send_errors_to_log(config)
    # Once: what the system has lowered it does not raise again.
    machine.be_nice(config.nice)
    decode.use_one_thread_per_picture()
    encoders = pipeline.EncoderOfRuns()
    while (code := _run(config, source, send, encoders)) == protocol.RESTS:
        send(protocol.Resting())
        config = _read_config(source, send)
        _send_errors_to_log(config)
    channel.close()
    _end(code)


def _read_config(source: TextIO, send: pipeline.Send) -> WorkerConfig:
    line = source.readline()
    if not line.endswith("\n"):
        _end_at_once()
    try:
        return protocol.decode_config(line)
    except errors.UnknownMessage as error:
        send(protocol.Fatal.of(error))
        _end(error.exit_code)


def _run(config: WorkerConfig, source: TextIO, send: pipeline.Send, encoders: pipeline.EncoderOfRuns) -> int:
    """Serve one run, and return what it ends with; a worker that rests then has no file of the library open."""
    handler = start_log(config)
    machine.limit_memory(config.memory)
    inbox: pipeline.Inbox = queue.SimpleQueue()
    threading.Thread(target=_read_messages, args=(source, inbox, send), daemon=True).start()
    code = pipeline.serve(config, inbox, send, encoders)
    if code == protocol.RESTS:
        logging.getLogger("pixfind").removeHandler(handler)
        handler.close()
        with Path(os.devnull).open("wb") as nowhere:
            _point_output_at(nowhere.fileno())
    return code


def _send_errors_to_log(config: WorkerConfig) -> None:
    with logs.appending(_log_path(config)) as errors_to:
        _point_output_at(errors_to.fileno())


def start_log(config: WorkerConfig) -> logging.Handler:
    """Write this process's log to logs/embed_worker_K.log, the plan first; return what writes it."""
    handler = logs.handler(_log_path(config))
    root = logging.getLogger("pixfind")
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    log.info("worker %d, process %d", config.worker, os.getpid())
    for line in config.plan:
        log.info("plan: %s", line)
    return handler


def _log_path(config: WorkerConfig) -> Path:
    return Path(config.logs) / f"embed_worker_{config.worker}.log"


def _read_messages(source: TextIO, inbox: pipeline.Inbox, send: pipeline.Send) -> None:
    """Take the messages of one run."""
    for line in source:
        if not line.endswith("\n"):
            # Cut by the end of the coordinator.
            break
        try:
            message = protocol.decode_to_worker(line)
            inbox.put(message)
            if isinstance(message, protocol.Rest):
                # The next line begins another run.
                return
        except errors.UnknownMessage as error:
            log.error("%s", error)  # noqa: TRY400 - a known error needs no trace
            send(protocol.Fatal.of(error))
            _end(error.exit_code)
    _end_at_once()


def _end(code: int) -> NoReturn:
    """End the process. Not with sys.exit: a thread that hangs in an image would keep it."""
    logging.shutdown()
    os._exit(code)


def _end_with(coordinator: int) -> None:
    """End when our parent is another one by now: a process that the coordinator forked may hold our standard input open for ever."""
    while os.getppid() == coordinator:
        time.sleep(_PARENT_SECONDS)
    _end_at_once()


def _end_at_once() -> NoReturn:
    """The coordinator is gone. Ending here loses what is not saved yet and nothing else, and frees our files for the next one."""
    if os.name == "posix" and os.getpgrp() == os.getpid():
        # The group is ours: what a library started ends with us.
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _point_output_at(descriptor: int) -> None:
    """Let standard output and standard error, which are no channel of ours, go there."""
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _own_channels() -> tuple[TextIO, TextIO]:
    """
    Take standard input and output as the channels of the protocol, and put harmless ones in their place.

    Whatever a library prints must not get into them, and whatever it starts must not hold them: they are closed on exec, and a child
    that is forked without one gets the null device.
    """
    channels = (os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: [os.dup2(null, channel) for channel in channels])
    return os.fdopen(channels[0], encoding="ascii"), os.fdopen(channels[1], "w", encoding="ascii")
