"""The reader process without its cage, to time what the cage costs: `python -m tests.bench.uncaged DESCRIPTOR`."""

from service.readers import child

if __name__ == "__main__":
    child.enter_cage = lambda cage: ()  # type: ignore[attr-defined]
    child.main()
