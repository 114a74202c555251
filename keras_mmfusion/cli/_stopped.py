"""Commands that are stopped by a signal, and take away what they began to write."""

import contextlib
import os
import signal
import threading


class _Stopped(BaseException):
    pass


@contextlib.contextmanager
def stopping():
    """Let SIGTERM and SIGHUP end the process by way of every `finally` in it.

    `kill`, `timeout` and queues of jobs send the one, a terminal that is closed the
    other. Python ends at once, and folders of what is half written stay. Who started
    the process still sees that the signal ended it.
    """
    process = os.getpid()

    def stop(number, frame):
        # A second one ends at once, as it does a process that was forked from this.
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() == process:
            raise _Stopped(number)
        os.kill(os.getpid(), number)

    main = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    # Not where the one is ignored, as under `nohup`, or whoever calls us takes it.
    ours = [n for n in numbers if main and n and signal.getsignal(n) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    except _Stopped as stopped:
        os.kill(process, stopped.args[0])
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
