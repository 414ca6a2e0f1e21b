"""Threads that drive models one at a time each; the work is done in child processes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TypeVar

from migrate.errors import InterruptedRunError
from migrate.events import Finished, Listener
from migrate.processes.nursery import Nursery
from migrate.records import ModelReport

_Task = TypeVar("_Task")


def side_by_side(
    tasks: Sequence[_Task],
    take: Callable[[_Task, int], ModelReport],
    jobs: int,
    nursery: Nursery,
    listen: Listener,
    fail_fast: bool,
    goes_on: bool,
) -> list[ModelReport]:
    """Takes every task; an exception, which is an interruption or a full disk, ends all of it at once.

    Args:
      tasks: what there is to do.
      take: does one of them; it is told which worker it is.
      jobs: how many are done at once.
      nursery: the child processes, which end with an exception.
      listen: told of each that is finished.
      fail_fast: start no more once one is not good; what has begun is finished.
      goes_on: whether a journal remembers what is done, so that the same command goes on after an interruption.

    Returns:
      The reports, in the order of the tasks, of those that were begun.

    Raises:
      InterruptedRunError: the user has ended it, where there are several tasks and a journal.
    """
    workers: queue.SimpleQueue[int] = queue.SimpleQueue()
    for worker in range(jobs):
        workers.put(worker)
    lock = threading.Lock()
    done = 0

    def drive(task: _Task) -> ModelReport:
        nonlocal done
        worker = workers.get()
        try:
            report = take(task, worker)
            with lock:
                done += 1
                listen(Finished(worker, report, done, len(tasks)))
            return report
        finally:
            workers.put(worker)

    pool = ThreadPoolExecutor(jobs, thread_name_prefix="migrate-worker")
    futures: list[Future[ModelReport]] = [pool.submit(drive, task) for task in tasks]
    try:
        for future in as_completed(futures):
            if not future.result().ok and fail_fast:
                break
    except BaseException as error:
        for future in futures:
            future.cancel()
        nursery.close()
        if isinstance(error, KeyboardInterrupt) and goes_on and len(tasks) > 1:
            told = f"interrupted: {done:,} of {len(tasks):,} models done; the same command continues"
            raise InterruptedRunError(told) from None
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return [future.result() for future in futures if not future.cancelled()]
