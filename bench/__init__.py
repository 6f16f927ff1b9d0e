"""The benchmark: our two nodes beside an nginx pair that signs and stores nothing, with one client and one service.

Run as `python -m bench` from the root of the checkout; `docs/performance.md` says how it is measured and holds the
numbers. Not part of the package, and nothing in `src` knows of it.
"""
