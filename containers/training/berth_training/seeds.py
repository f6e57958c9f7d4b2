"""Seeds that depend only on the spec's seed and on what they are for, never on what ran before."""

import hashlib


def seed_of(seed: int, *parts: object) -> int:
    """Returns a number below 2^31, the most that every library takes."""
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
