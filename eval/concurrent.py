"""Several requests on their way at once, each answered by a function in a thread."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from .samples import Request, Response


def answered(
    requests: Iterable[Request], answer: Callable[[Request], Response], at_once: int
) -> Iterator[Response]:
    """The responses in the order in which they end.

    Only as many requests are begun as can be on their way, so that pictures wait on disk.
    """
    left = iter(requests)
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        running: set[Future[Response]] = set()
        try:
            while True:
                while len(running) < at_once:
                    request = next(left, None)
                    if request is None:
                        break
                    running.add(pool.submit(answer, request))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for each in done:
                    yield each.result()
        finally:
            for each in running:
                each.cancel()
