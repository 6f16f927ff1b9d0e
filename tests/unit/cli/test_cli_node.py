"""`qaztech node new|check-config`, `witness new`, `log close`, `registry init|extend`: files in, files out."""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from qaztech.cli.main import main
from qaztech.compose.node_check import check_node
from qaztech.core.ids import MemberId, NodeId
from qaztech.core.time import ManualClock, SystemClock
from qaztech.evidence.log import Log
from qaztech.evidence.state import close_origin
from qaztech.evidence.storage import OsStorage
from qaztech.node.settings import NodeSettings
from qaztech.registry.anchor import parse_anchor
from qaztech.registry.key_files import load_log_keys
from qaztech.registry.node_identity import NODE_FILE, NodeIdentity
from qaztech.runtime.settings import read_settings
from qaztech.trust.certificates import Authority

NODE = "KZ/GOV/991340000017/node1"
MEMBER = "KZ/GOV/991340000017"
LINEAGE = "ab" * 32
Run = Callable[..., SimpleNamespace]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with --json: its exit status, facts and errors."""

    def command(*arguments: object) -> SimpleNamespace:
        status = main([*map(str, arguments), "--json"])
        said = capsys.readouterr()
        return SimpleNamespace(status=status, facts=json.loads(said.out) if said.out else {}, said=said.err)

    return command


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry that was founded and does not run."""
    folder = tmp_path_factory.mktemp("registry") / "registry"
    assert main(["registry", "init", str(folder), "--instance", "KZ", "--url", "http://127.0.0.1:9"]) == 0
    return folder


@pytest.fixture
def node(run: Run, registry: Path, tmp_path: Path) -> Path:
    """The settings of a node with a certificate."""
    made = new_node(run, registry, tmp_path / "node")
    assert made.status == 0
    authority = Authority.load((registry / "ca.key").read_bytes(), (registry / "ca.pem").read_bytes())
    request = (tmp_path / "node" / "tls.csr").read_bytes()
    certificate = authority.issue(request, NodeId.parse(NODE), SystemClock().now())
    (tmp_path / "node" / "tls.pem").write_bytes(certificate)
    return Path(made.facts["settings"])


def new_node(run: Run, registry: Path, folder: Path, *more: object, id_: str = NODE) -> SimpleNamespace:
    return run(
        "node", "new", folder, "--id", id_, "--address", "10.0.0.1:5500", "--lineage", LINEAGE,
        "--anchor", registry / "anchor.json", "--registry", "http://127.0.0.1:8401", *more,
    )  # fmt: skip


# Making --------------------------------------------------------------------------------------------------------------


def test_a_new_registry_is_whole(registry: Path, run: Run) -> None:
    """Its anchor names its log and witness; its secrets are its owner's; it is not founded twice."""
    anchor = parse_anchor((registry / "anchor.json").read_bytes())
    assert (anchor.instance, anchor.log_origin) == ("KZ", load_log_keys(registry, "KZ").origin)
    assert [w.url for w in anchor.policy.witnesses.values()] == ["http://127.0.0.1:9/witness"]
    assert anchor.policy.witnesses["registry"].hybrid is not None
    for secret in ("ca.key", "log.key", "witness.key", "management.token", "keys/offline/root-1.pem"):
        assert (registry / secret).stat().st_mode & 0o077 == 0, secret
    # enough bins that one changed right stays small in a country of ten thousand members
    assert len(list((registry / "tuf/metadata").glob("1.b-*.json"))) == 512
    again = run("registry", "init", registry, "--instance", "KZ", "--url", "http://127.0.0.1:8401")
    assert "registry.exists" in again.said


def test_an_anchor_names_other_witnesses_and_authorities(run: Run, tmp_path: Path, registry: Path) -> None:
    """Those that `witness new` made, with or without the registry among them, and timestamping authorities."""
    lines = []
    for name in ("one", "two"):
        url = f"http://{name}.example/"
        made = run("witness", "new", tmp_path / name, "--name", name, "--key-name", f"{name}.example/w", "--url", url)
        lines += made.facts["policy"]
    assert (tmp_path / "one" / "witness.toml").read_text().count("one.example/w") == 1
    policy = tmp_path / "policy"
    policy.write_text("\n".join(lines))
    made = run(
        "registry", "init", tmp_path / "registry", "--instance", "KZ", "--url", "https://registry.example",
        "--witnesses", policy, "--no-witness", "--no-hybrid", "--tsa", registry / "ca.pem",
    )  # fmt: skip
    anchor = parse_anchor(Path(made.facts["anchor"]).read_bytes())
    assert list(anchor.policy.witnesses) == ["one", "two"]
    assert made.facts["warnings"] == []
    short = tmp_path / "short"
    short.write_text("\n".join(lines[: len(lines) // 2]))
    bound = run("registry", "init", tmp_path / "bound", "--instance", "KZ", "--url", "http://x", "--witnesses", short)
    assert "needs a new anchor" in bound.facts["warnings"][0]
    assert (len(anchor.log_keys), len(anchor.tsas)) == (1, 1)
    assert "port = 443" in Path(made.facts["settings"]).read_text()
    for wrong, code in (
        (("--witnesses", policy, "--url", "nowhere"), "registry.url"),
        (("--url", "http://x", "--tsa", policy), "certificate.malformed"),
        (("--url", "http://x", "--witnesses", registry / "ca.pem"), "policy.malformed"),
    ):
        refused = run("registry", "init", tmp_path / code, "--instance", "KZ", *wrong)
        assert (refused.status, code in refused.said) == (1, True), refused.said


def test_a_witness_may_be_a_node(run: Run, node: Path) -> None:
    """Then it has no settings of its own; its keys stay as they were when asked again."""
    options = ("--name", "n", "--key-name", "kz.example/w", "--url", "http://10.0.0.1:4000/witness")
    made = run("witness", "new", node.parent, *options)
    assert not (node.parent / "witness.toml").exists()
    assert run("witness", "new", node.parent, *options).facts == made.facts
    assert "outbound.url" in run("witness", "new", node.parent, *options[:5], "nowhere").said


def test_a_new_node_is_made_once(run: Run, registry: Path, tmp_path: Path) -> None:
    """Keys and settings that are there stay; node.json says what its member must name."""
    folder = tmp_path / "node"
    made = new_node(run, registry, folder)
    identity = NodeIdentity.parse((folder / NODE_FILE).read_bytes())
    assert (str(identity.id), identity.address, identity.log[0].name) == (NODE, "10.0.0.1:5500", made.facts["origin"])
    settings = read_settings(folder / "node.toml", NodeSettings)
    assert (settings.link.host, settings.link.port, settings.members[0].lineage) == ("10.0.0.1", 5500, LINEAGE)
    assert "\nwitnessing_seconds = 30.0\n" in (folder / "node.toml").read_text()
    (folder / "node.toml").write_text("# mine\n")
    assert new_node(run, registry, folder).facts == made.facts
    assert (folder / "node.toml").read_text() == "# mine\n"
    plain = new_node(run, registry, tmp_path / "plain", "--no-hybrid")
    assert plain.status == 0
    assert len(NodeIdentity.read(tmp_path / "plain").log) == 1


def test_a_node_is_of_its_instance(run: Run, registry: Path, tmp_path: Path) -> None:
    """What does not fit together is said before anything is made."""
    for more, id_, code in (
        ((), "UZ/GOV/1/node1", "registry.instance"),
        (("--address", "nowhere"), NODE, "command.malformed"),
        (("--lineage", "ab"), NODE, "command.malformed"),
        (("--anchor", registry / "ca.pem"), NODE, "anchor.malformed"),
        (("--anchor", "nowhere"), NODE, "nowhere: No such file"),
    ):
        assert code in new_node(run, registry, tmp_path / "x", *more, id_=id_).said
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xff", b'{"type":"qaztech-node 1","id":"x","address":"","tls":"","log":[]}']
)
def test_a_file_that_describes_no_node(data: bytes, tmp_path: Path) -> None:
    """Only the project's own errors, whatever it holds."""
    (tmp_path / NODE_FILE).write_bytes(data)
    with pytest.raises(Exception, match="not what describes a node"):
        NodeIdentity.read(tmp_path)


# Checking ------------------------------------------------------------------------------------------------------------


def test_a_node_that_would_start(run: Run, node: Path) -> None:
    """Nothing is wrong with a new one that has its certificate."""
    checked = run("node", "check-config", node)
    assert (checked.status, checked.facts) == (0, {"ok": True, "findings": []})


def test_an_address_that_nobody_finds_is_a_warning(run: Run, registry: Path, tmp_path: Path) -> None:
    """Peers would look for it in vain; the node starts all the same."""
    new_node(run, registry, tmp_path / "lost", "--address", "nowhere.invalid:5500")
    checked = run("node", "check-config", tmp_path / "lost" / "node.toml")
    said = [f["what"] for f in checked.facts["findings"] if f["level"] == "warning"]
    assert said == ["peers are told to reach this node at nowhere.invalid:5500, and that name is not found from here"]


CLIENT = f'[[clients]]\nid = "{MEMBER}/permits"\n'
CENTRE = f'[operational]\nservice = "KZ/GOV/991340000047/centre/data"\nclient = "{MEMBER}/permits"\n'
SERVICE = f'[[services]]\nid = "{MEMBER}/permits/list"\nurl = "http://127.0.0.1:9000"\n'


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("registry = ", "registri = ", "error registri"),
        ('id = "KZ/GOV/991340000017/node1"', 'id = "KZ/GOV"', "error a node identifier has 4 parts"),
        ("lineage = ", 'lineage = "x" #', "error members: the lineage"),
        ("lineage = ", 'acknowledged = ["node2"]\nlineage = ', "error members: acknowledged: 'node2' is no node"),
        ('id = "KZ/GOV/991340000017"', 'id = "KZ/GOV/1"', "warning members: the node is KZ/GOV/991340000017's"),
        ('[[members]]\nid = "KZ/GOV/991340000017"', "[other]", "error "),
        ('"anchor.json"', '"none.json"', "error cannot read"),
        ('"anchor.json"', '"tls.csr"', "error not the form expected"),
        ('"http://127.0.0.1:8401"', '"127.0.0.1:8401"', "error registry: not an http(s) URL"),
        ("port = 8080", "port = 4000", "error management: it has the port of edge"),
        ("port = 8080", "port = 70000", "error edge: 70000 is no port"),
        ('[management]\nhost = "127.0.0.1"', '[management]\nhost = "0.0.0.0"', "error management: on 0.0.0.0"),
        ("[management]", '[management]\ntoken_hash = "x"', "error management: token_hash"),
        ('[edge]\nhost = "127.0.0.1"', '[edge]\nhost = "0.0.0.0"', "warning edge: plain HTTP"),
        ("[edge]", '[edge]\ncertificate = "none.pem"', "error edge: certificate: there is no file"),
        ("[edge]", '[edge]\nkey = "tls.key"', "error edge: certificate and key go together"),
        ('directory = "."', 'directory = "."\nrefresh_seconds = 0', "error refresh_seconds"),
        ('directory = "."', 'directory = "."\ntimestamping = "http://tsa.example"', "warning timestamping"),
        ('directory = "."', 'directory = "elsewhere"', "error there is no tls.key"),
        ("[edge]", '[witness]\nname = "w"\n[edge]', "error witness: there is no witness.key"),
        ("[edge]", f"{CLIENT}[edge]", "error clients: nobody can call as"),
        ("[edge]", f"{CLIENT}loopback = true\n[edge]", "warning clients: anyone on this machine"),
        ("[edge]", f'{CLIENT}token_hashes = ["x"]\n[edge]', "error clients: KZ/GOV/991340000017/permits: x"),
        ("[edge]", f'{CLIENT}certificate_hashes = ["{LINEAGE}"]\n[edge]', "error clients: certificates of"),
        ("[edge]", '[[clients]]\nid = "KZ/GOV/1/x"\nloopback = true\n[edge]', "error clients: KZ/GOV/1/x is of"),
        ("[edge]", '[[clients]]\nid = "permits"\n[edge]', "error a subsystem identifier has 4 parts"),
        ("[edge]", f"{SERVICE.replace('http:', 'ftp:')}[edge]", "error not a service address"),
        ("[edge]", f"{SERVICE.replace('127.0.0.1', 'h.example')}[edge]", "warning services: "),
        ("[edge]", f"{SERVICE.replace('/991340000017/', '/1/')}[edge]", "error services: KZ/GOV/1/permits/list is of"),
        ("[edge]", f'{SERVICE}openapi = "none.yaml"\n[edge]', "error permits/list: openapi: there is"),
        ("[edge]", f'{SERVICE}certificate = "tls.pem"\n[edge]', "error permits/list: certificate and key"),
        ("[edge]", f"{CENTRE}[edge]", "error operational: no [[clients]] table lets"),
        ("[edge]", f"{CLIENT}loopback = true\n{CENTRE}every_seconds = 0\n[edge]", "error operational: every_seconds"),
        ("[edge]", f"{CLIENT}loopback = true\n{CENTRE}keep_days = -1\n[edge]", "error operational: keep_days"),
        ("[edge]", f'{CLIENT}token_hashes = ["{LINEAGE}"]\n{CENTRE}[edge]', "error calls with a token"),
        ("[edge]", f'{CLIENT}token_hashes = ["{LINEAGE}"]\n{CENTRE}token_file = "tls.csr"\n[edge]', "error the token"),
        ("[edge]", f'{CLIENT}loopback = true\n{CENTRE}token_file = "none"\n[edge]', "error cannot read"),
        ("[edge]", f"{CENTRE.partition('client')[0]}[edge]", "error operational: service and client go together"),
        ("[edge]", f"{CENTRE.replace('/991340000047/', '/')}[edge]", "error a service identifier has 5 parts"),
        ("lineage = ", 'limits = "tls.csr"\nlineage = ', "error members: limits: "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_settings(run: Run, node: Path, old: str, new: str, finding: str) -> None:
    """Each is named; only errors keep the node from starting."""
    text = node.read_text()
    assert old in text
    node.write_text(text.replace(old, new, 1))
    checked = run("node", "check-config", node)
    said = [f"{f['level']} {f['what']}" for f in checked.facts["findings"]]
    level, _, words = finding.partition(" ")
    assert any(line.startswith(level) and words in line for line in said), said
    assert checked.status == int(any(line.startswith("error") for line in said))


def test_operational_data_that_would_be_delivered(run: Run, node: Path) -> None:
    """As whoever is on this machine, or with a token of the client."""
    (node.parent / "token").write_text("t" * 40 + "\n")
    digest, before = sha256(b"t" * 40).hexdigest(), node.read_text()
    for client, more in (("loopback = true", ""), (f'token_hashes = ["{digest}"]', 'token_file = "token"\n')):
        node.write_text(before.replace("[edge]", f"{CLIENT}{client}\n{CENTRE}{more}[edge]", 1))
        assert [f for f in run("node", "check-config", node).facts["findings"] if f["level"] == "error"] == []


def test_what_is_wrong_with_keys_and_log(run: Run, node: Path, registry: Path, tmp_path: Path) -> None:
    """A certificate of another key or node, about to expire or expired; a log of another key, or closed."""
    folder, authority = node.parent, Authority.load(
        (registry / "ca.key").read_bytes(), (registry / "ca.pem").read_bytes()
    )  # fmt: skip
    clock = ManualClock(SystemClock().now())

    def said() -> str:
        return " / ".join(f"{f.level} {f.what}" for f in check_node(node, clock))

    clock.advance(int(timedelta(days=340).total_seconds() * 1000))
    assert "warning" in said()
    clock.advance(int(timedelta(days=30).total_seconds() * 1000))
    assert "has expired" in said()
    new_node(run, registry, tmp_path / "other", id_=f"{MEMBER}/node2")
    request = (tmp_path / "other" / "tls.csr").read_bytes()
    (folder / "tls.pem").write_bytes(authority.issue(request, NodeId(MemberId.parse(MEMBER), "node2"), clock.now()))
    assert "is not for the tls.key" in said()
    assert "is the certificate of KZ/GOV/991340000017/node2" in said()
    (folder / "tls.pem").write_bytes(b"nothing")
    assert "is not a certificate in PEM" in said()
    keys = load_log_keys(folder, "KZ")
    Log.create(folder / "log", storage=OsStorage(), key=keys.key, origin=keys.origin, clock=clock).close()
    shutil.copy(tmp_path / "other" / "log.key", folder / "log.key")
    assert "and log.key is of" in said()
    close_origin(folder / "log", storage=OsStorage(), reason="copied", size=0, root=bytes(32))
    assert "is closed (copied): `qaztech node renew-log`" in said()
    assert "no settings file" in run("node", "check-config", tmp_path / "none.toml").facts["findings"][0]["what"]


def test_a_key_that_everybody_can_read(run: Run, node: Path) -> None:
    """Copied from a backup, or by a careless hand; the node would start, so somebody has to say it."""
    key = node.parent / "log.key"
    before = run("node", "check-config", node).facts["findings"]
    key.chmod(0o644)
    (found,) = [f for f in run("node", "check-config", node).facts["findings"] if f not in before]
    assert (found["level"], found["what"]) == (
        "warning",
        f"{key} is open to everybody on this machine: chmod 600 {key}",
    )
    key.chmod(0o640)
    assert run("node", "check-config", node).facts["findings"] == before


def test_a_witness_that_nobody_counts_on(run: Run, node: Path) -> None:
    """Its key is not the one that the anchor names."""
    options = ("--name", "n", "--key-name", "kz.example/w", "--url", "http://10.0.0.1:4000/witness")
    run("witness", "new", node.parent, *options)
    node.write_text(f'{node.read_text()}[witness]\nname = "kz.example/w"\n')
    (finding,) = run("node", "check-config", node).facts["findings"]
    assert (finding["level"], "no one counts on it" in finding["what"]) == ("warning", True)


# Closing and extending -----------------------------------------------------------------------------------------------


def test_a_log_is_closed_for_good(run: Run, node: Path) -> None:
    """With what witnesses saw last; never while it is open; never twice in two ways."""
    keys, root = load_log_keys(node.parent, "KZ"), b64encode(b"\1" * 32).decode()
    log = node.parent / "log"
    close = ("log", "close", log, "--reason", "copied", "--witnessed", 3)
    assert "log.missing" in run(*close, root, "--yes").said
    with Log.create(log, storage=OsStorage(), key=keys.key, origin=keys.origin, clock=SystemClock()):
        assert "log.in-use" in run(*close, root, "--yes").said
    assert "command.unconfirmed" in run(*close, root).said
    for wrong in ("x", "AAAA", "AAAA\n"):
        assert "command.malformed" in run(*close, wrong, "--yes").said
    closed = run(*close, root, "--yes").facts
    assert closed == {"origin": keys.origin, "size": 3, "root": root, "reason": "copied"}
    again = run("log", "close", log, "--reason", "other", "--witnessed", 4, root)
    assert again.facts == closed
    assert "is closed" in run("node", "check-config", node).facts["findings"][0]["what"]


def test_witnesses_that_do_not_answer_are_not_made_up(run: Run, node: Path, registry: Path) -> None:
    """Then size and root have to be known from elsewhere."""
    keys = load_log_keys(node.parent, "KZ")
    log = node.parent / "log"
    Log.create(log, storage=OsStorage(), key=keys.key, origin=keys.origin, clock=SystemClock()).close()
    asked = run("log", "close", log, "--reason", "copied", "--anchor", registry / "anchor.json", "--yes")
    assert "witness.quorum" in asked.said
    assert not (log / "closed").exists()


def test_an_extension_asks_first_and_needs_the_offline_keys(run: Run, registry: Path, tmp_path: Path) -> None:
    """It is for a copy, with at least two keys of each kind."""
    shutil.copytree(registry / "tuf", tmp_path / "tuf")
    shutil.copytree(registry / "keys" / "offline", tmp_path / "keys" / "offline")
    extend = ("registry", "extend", "--published", tmp_path / "tuf", "--keys", tmp_path / "keys")
    assert "command.unconfirmed" in run(*extend).said
    assert "for 1 to 90 days" in run(*extend, "--days", 91, "--yes").said
    assert run(*extend, "--yes").facts["days"] == 14
    for name in ("root-1", "root-2"):
        (tmp_path / "keys" / "offline" / f"{name}.pem").unlink()
    online = sorted((tmp_path / "keys" / "online").iterdir())
    assert "1 of the 2 offline keys of root that are needed" in run(*extend, "--yes").said
    assert sorted((tmp_path / "keys" / "online").iterdir()) == online, "nothing was begun"
