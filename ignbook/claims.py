"""What a page claims of a training that it has just made.

A training comes out a little differently with other threads or on another processor.  So a chapter doesn't `assert` what
came of one: it claims it.  Under the tests (IGN_STRICT=1) a claim that fails raises; for a reader it prints one line and
the page goes on.  `make margins` measures how far each claim is from failing, over seeds, threads and precisions.
"""

import os

SEEN: list[tuple[str, list[float]]] = []  # the claims of this process: sentence, and the steps from value to value


def claim(sentence: str, *values: float) -> None:
    """That the values, two or more, rise from the first to the last: `claim("data stay", drift_of_x, 0.1)`.

    sentence: what it means, without a full stop.  Prints "on this machine this did not come out: ..." where they don't.
    AssertionError: the same, with IGN_STRICT=1.  ValueError: fewer than two values.
    """
    numbers = [float(value) for value in values]
    if len(numbers) < 2:
        raise ValueError(f"a claim compares two values or more, and {sentence!r} has {len(numbers)}.")
    steps = [high - low for low, high in zip(numbers, numbers[1:])]
    SEEN.append((sentence, steps))
    if not all(step > 0 for step in steps):  # so that NaN fails too
        failed = f"on this machine this did not come out: {sentence}."
        if os.environ.get("IGN_STRICT") == "1":
            raise AssertionError(f"{failed[:-1]}, for {' < '.join(f'{number:.4g}' for number in numbers)} does not hold.")
        print(failed)
