"""Asks for the digests of ten users, and prints what comes of it."""

from tasks import digest, gate

TEXT = "The loop is closed. It took a while. Nobody was paged."


def main() -> None:
    """All at once, as a night's job does."""
    for result in [digest.delay(f"user-{number}", TEXT) for number in range(1, 11)]:
        print(result.get(timeout=60))  # noqa: T201 - that is what it is for
    gate.close()


if __name__ == "__main__":
    main()
