"""Random messages of 0 to 1 MiB, most of them small. programs/client.cjs makes its own likewise."""

import random

SIZE_MAX = 1 << 20
SMALL_MAX = 1 << 14
# One in so many may have any size; the sizes of the others are spread over the powers of two.
LARGE_ONE_IN = 200


def random_messages(seed: int, count: int) -> list[str | bytes]:
    """The same for the same seed. Text and bytes, each from what compresses well and from what
    does not; an empty one and one as long as can be among them."""
    dice = random.Random(seed)
    letters = "".join(dice.choices("etaoin shrdlu\n\u00e4\u20ac", k=SIZE_MAX))
    noise = dice.randbytes(SIZE_MAX)
    table = bytes(number // 9 % 251 for number in range(SIZE_MAX))

    def message(size: int) -> str | bytes:
        source = dice.choice([letters, noise, table])
        begin = dice.randrange(SIZE_MAX - size + 1)
        if isinstance(source, str):
            # Up to three bytes each.
            return source[begin : begin + size // 3]
        return source[begin : begin + size]

    sizes = [_size(dice) for _ in range(count - 2)]
    return [b"", noise, *map(message, sizes)]


def _size(dice: random.Random) -> int:
    if dice.randrange(LARGE_ONE_IN) == 0:
        return dice.randrange(SIZE_MAX + 1)
    return int(SMALL_MAX ** dice.random()) - 1
