"""The type of what verbs are added to."""

from __future__ import annotations

import argparse

Verbs = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  # argparse has no public name for it
