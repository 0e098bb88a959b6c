"""Bucketing a second time, from the papers and without any library: what the golden vectors are made by.

Written to be checked by eye, not to be fast. `python tests/spec/reference.py` prints bucketing.json.
"""

import json

MASK = 0xFFFFFFFF


def murmur3_x86_32(data: bytes, seed: int = 0) -> int:
    """Austin Appleby's MurmurHash3_x86_32, unsigned."""
    h = seed
    whole = len(data) - len(data) % 4
    for start in range(0, whole, 4):
        h ^= _scramble(int.from_bytes(data[start : start + 4], "little"))
        h = _rotate(h, 13)
        h = (h * 5 + 0xE6546B64) & MASK
    h ^= _scramble(int.from_bytes(data[whole:], "little"))
    h ^= len(data) & MASK
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & MASK
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & MASK
    return h ^ (h >> 16)


def _scramble(block: int) -> int:
    return (_rotate((block * 0xCC9E2D51) & MASK, 15) * 0x1B873593) & MASK


def _rotate(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & MASK


def cbor_text(text: str) -> bytes:
    """RFC 8949, section 3: major type 3 in the high three bits, the length in the shortest form."""
    data = text.encode("utf-8")
    argument = bytearray()
    rest = len(data)
    while rest:
        argument.insert(0, rest & 0xFF)
        rest >>= 8
    major = 3 << 5
    if len(data) <= 23:
        return bytes([major | len(data)]) + data
    following = 1
    while following < len(argument):
        following *= 2
    additional = {1: 24, 2: 25, 4: 26, 8: 27}[following]
    return bytes([major | additional]) + bytes(argument).rjust(following, b"\0") + data


def hash_input(generation: str, salt: str, key: str, *, joined: bool) -> bytes:
    if generation == "v2":
        return (salt + key).encode("utf-8")
    if joined:
        return cbor_text(salt + key)
    return bytes([4 << 5 | 2]) + cbor_text(salt) + cbor_text(key)


def vector(generation: str, salt: str, key: str, *, joined: bool, salt_times: int, key_times: int) -> dict:
    data = hash_input(generation, salt * salt_times, key * key_times, joined=joined)
    hashed = murmur3_x86_32(data)
    return {
        "generation": generation,
        "joined": joined,
        "salt": salt,
        "salt_times": salt_times,
        "key": key,
        "key_times": key_times,
        "input_head_hex": data[:8].hex(),
        "input_bytes": len(data),
        "hash": hashed,
        "bucket": hashed * 100_000 // 2**32,
        "cohort": hashed % 16,
    }


SALTS = [
    ("ai-summaries", 1),
    # What a flag's hold-out and its several candidates go by; always joined.
    ("ai-summaries:holdout:", 1),
    ("ai-summaries:candidates:", 1),
    ("s", 1),
    ("ß-flagge", 1),
    *(("s", times) for times in (23, 24, 255, 256, 65536)),
]
KEYS = [
    ("", 1),
    ("user-1", 1),
    ("user-2", 1),
    ("0", 1),
    ("jörg@example.com", 1),
    ("用户", 1),
    ("👩‍💻", 1),
    ("e\u0301", 1),
    ("\u00e9", 1),
    ("\0", 1),
    *(("k", times) for times in (22, 23, 24, 25, 254, 255, 256, 257, 10240, 65535, 65536)),
    *(("é", times) for times in (11, 12, 127, 128)),
]


def vectors() -> list[dict]:
    forms = [("v3", False), ("v3", True), ("v2", True)]
    every_key = [(SALTS[0], key) for key in KEYS]
    every_salt = [(salt, ("user-1", 1)) for salt in SALTS[1:]]
    # Together they cross a CBOR length step that neither crosses alone.
    joined_steps = [(("s", 12), ("k", 11)), (("s", 12), ("k", 12)), (("s", 200), ("k", 55)), (("s", 200), ("k", 56))]
    return [
        vector(generation, salt, key, joined=joined, salt_times=salt_times, key_times=key_times)
        for generation, joined in forms
        for (salt, salt_times), (key, key_times) in every_key + every_salt + joined_steps
    ]


if __name__ == "__main__":
    lines = ",\n  ".join(json.dumps(line, ensure_ascii=False) for line in vectors())
    print(f"[\n  {lines}\n]")
