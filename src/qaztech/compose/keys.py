"""The keys that processes load (`registry.key_files`)."""

from __future__ import annotations

from qaztech.registry.key_files import load_cosigner, load_log_keys

__all__ = ["load_cosigner", "load_log_keys"]
