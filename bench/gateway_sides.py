"""What the gateway's benchmark compares: our gateway and LiteLLM's proxy, each a process, before one server of a model.

LiteLLM stands in an environment of its own (`build/litellm`), made from `bench/requirements-litellm.lock`; nothing of
ours depends on it. It is run as its makers say it is quickest: one worker, uvloop, httptools, nothing logged, no
retries, no callbacks. Keys and budgets it has only with a server of PostgreSQL; without one it has one key for all.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.ai_gateway_process import MODEL
from bench.load import Target
from bench.mock_model import TEXT
from bench.tools import Unusable, free_ports, wait_for_port
from bench.tools import running as program

_HERE = Path(__file__).parent
_ROOT = _HERE.parent
LOCK = _HERE / "requirements-litellm.lock"
_ENVIRONMENT = _ROOT / "build" / "litellm"
_INSTALL_LIMIT = 600  # seconds
_START_LIMIT = 120  # seconds: it loads for ten or more on a busy machine
_KEY = "sk-bench-0123456789"
_PATH = "/v1/chat/completions"
# Nothing that asks the network, logs, or keeps what was asked.
_QUIET = {
    "LITELLM_LOG": "CRITICAL", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False", "DISABLE_ADMIN_UI": "True", "NO_DOCS": "True", "PYTHONUNBUFFERED": "1",
}  # fmt: skip
_CONFIGURATION = """\
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/mock, api_base: "{url}/v1", api_key: none}}
litellm_settings: {{telemetry: false, set_verbose: false, num_retries: 0, request_timeout: 60, turn_off_message_logging: true}}
router_settings: {{num_retries: 0, routing_strategy: simple-shuffle, disable_cooldowns: true}}
general_settings: {{master_key: {key}, disable_spend_logs: true, disable_error_logs: true}}
"""  # noqa: E501


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One gateway, running."""

    name: str
    port: int
    key: str
    root: int

    def target(self, body: Path) -> Target:
        """Where a chat is posted."""
        return Target(url=f"http://127.0.0.1:{self.port}{_PATH}", headers=self.headers, body=body)

    @property
    def headers(self) -> dict[str, str]:
        """What a caller shows."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def processes(self) -> list[int]:
        """All that it runs."""
        return processes.tree([self.root])

    def rss(self) -> int:
        """Bytes resident, all its processes."""
        return sum(processes.rss(pid) for pid in self.processes())

    def check(self, body: Path) -> None:
        """Fail unless it answers with what the model's server says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for _ in range(3):
            connection.request(
                "POST", _PATH, body=body.read_bytes(), headers={**self.headers, "Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != http.HTTPStatus.OK or TEXT not in said.decode():
                raise Unusable(f"{self.name} answers {answer.status}: {said[:300]!r}")
            if answer.will_close:
                raise Unusable(f"{self.name} does not keep connections")
        connection.close()


def calls_of(model: Gateway) -> int:
    """How many calls the model's server has had."""
    connection = http.client.HTTPConnection("127.0.0.1", model.port, timeout=10)
    connection.request("GET", "/calls")
    count = int(connection.getresponse().read())
    connection.close()
    return count


@contextlib.contextmanager
def mock(run: Path) -> Iterator[Gateway]:
    """The server of the model, called as a gateway is."""
    (port,) = free_ports(1)
    log = run / "mock.log"
    with program([sys.executable, "-m", "bench.mock_model", str(port)], log=log, cwd=_ROOT) as process:
        wait_for_port(port, process, log=log)
        yield Gateway(name="the model's server itself", port=port, key="", root=process.pid)


@contextlib.contextmanager
def ours(folder: Path, model: Gateway, *more: str, name: str = "our gateway", number: str = "a") -> Iterator[Gateway]:
    """Our gateway; its books are in `folder`, which several may share under different numbers."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "bench.ai_gateway_process", str(folder), f"http://127.0.0.1:{model.port}"]
    log = folder / f"gateway-{number}.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*command, f"bench-{number}", *more], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            cwd=_ROOT,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise Unusable(f"our gateway does not start: {log.read_text()}")
        said = json.loads(line)
        yield Gateway(name=name, port=said["port"], key=said["key"], root=process.pid)
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _stamp() -> str:
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def has_peer() -> bool:
    """Whether LiteLLM's environment is what its lock says."""
    stamp = _ENVIRONMENT / ".made-from"
    return stamp.exists() and stamp.read_text() == _stamp()


def prepare_peer(progress: Callable[[str], None]) -> None:
    """Make LiteLLM's environment, where there is a package index; without one the benchmark measures us alone."""
    if has_peer():
        return
    progress("making an environment for LiteLLM's proxy (about 600 MB, once)")
    uv = Path(sys.executable).with_name("uv")
    python = _ENVIRONMENT / "bin" / "python"
    install = [str(uv), "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", "--only-binary", ":all:"]
    try:
        _run([str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(_ENVIRONMENT)])
        _run([*install, str(LOCK)])
    except (OSError, subprocess.SubprocessError) as error:
        progress(f"LiteLLM is not measured: {error}")
        return
    (_ENVIRONMENT / ".made-from").write_text(_stamp())


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_LIMIT)


def peer_version() -> str:
    """Which LiteLLM the lock names."""
    lines = LOCK.read_text().splitlines()
    return next(line.split("==")[1].split()[0] for line in lines if line.startswith("litellm=="))


@contextlib.contextmanager
def litellm(folder: Path, model: Gateway) -> Iterator[Gateway]:
    """LiteLLM's proxy."""
    folder.mkdir(exist_ok=True)
    (port,) = free_ports(1)
    configuration = folder / "litellm.yaml"
    configuration.write_text(
        _CONFIGURATION.format(model=MODEL, url=f"http://127.0.0.1:{model.port}", key=_KEY), encoding="utf-8"
    )
    log = folder / "litellm.log"
    command = [str(_ENVIRONMENT / "bin" / "litellm"), "--config", str(configuration), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **_QUIET}
    with program(
        ["env", "-i", *(f"{k}={v}" for k, v in environment.items()), *command], log=log, cwd=folder
    ) as process:
        wait_for_port(port, process, log=log, seconds=_START_LIMIT)
        time.sleep(1)
        yield Gateway(name=f"LiteLLM {peer_version()}", port=port, key=_KEY, root=process.pid)
