"""`python -m benchmarks`: what the README's figures come from (docs/benchmarks.md)."""

from benchmarks.provision import main

if __name__ == "__main__":
    main()
