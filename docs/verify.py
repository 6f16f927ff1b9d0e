"""Check a QazTech receipt from its anchor alone. Written from docs/formats (begin with receipt.md); shares no code."""
import argparse, base64, contextlib, datetime, hashlib, json, math, re, types
from urllib.parse import quote, unquote
from cryptography.hazmat.primitives.asymmetric import ed25519 as ed, mldsa
FAILED, Unknown, STATES = [], NotImplementedError, ["one-sided", "recorded", "witnessed", "timestamped", "sealed"]
Thing, NUM, HASH = types.SimpleNamespace, "(?:0|[1-9][0-9]{0,18})", "[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="
POLICY = r"log \S+( \S+)?|witness \S+ \S+( \S+)?|group \S+ (all|any|[1-9][0-9]*)( \S+(?<!\.pq))+|quorum \S+(?<!\.pq)"
METHOD = "(?:DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT|TRACE)"
METADATA = "GET (?:listMethods|allowedMethods|getOpenAPI|accessRequests)|POST accessRequests"  # these need no right
B64 = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)?"
PART = "(?:[A-Za-z0-9'()+,.=?!*~_-]|%(?!2[17-9A-E]|3[0-9DF]|[46][1-9A-F]|5[0-9AF]|7[0-9AE])[0-9A-F]{2})+"
FIELDS = {**dict.fromkeys(("from", "to"), "[a-z0-9.-]{1,100}/log/[0-9a-f]{20}"), "time": NUM, "expires": NUM,
    "endpoint": rf"-|(?:\*|{METHOD}) (?!(?:[^\n]*/\*\*){{3}})(?:/(?:\*\*?|[!-)+-.0->@-~]*))+", "method": METHOD,
    "message": "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "client": f"{PART}(?:/{PART}){{3}}", "path": HASH,
    "service": f"{PART}(?:/{PART}){{4}}", "snapshot": f"{NUM} [0-9a-f]{{64}}", "attempt": "[1-9][0-9]{0,18}",
    "size": f"-|{NUM}", "query": HASH, "headers": HASH, "body": f"-|{HASH}", "outcome": "complete|aborted",
    "request": f"{HASH} {NUM}", "head": f"{HASH} {NUM}", "status": "[0-9]{3}", "code": r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"}
KINDS = {"request": "client service method endpoint snapshot time expires attempt size path query headers body",
         "response": "client service request snapshot time status size headers body",
         **dict.fromkeys(("request-tail", "response-tail"), "head time size body outcome"), "refused": "client service "
         "request snapshot time code", **dict.fromkeys(("no-answer", "aborted"), "client service request time code")}
@contextlib.contextmanager
def check(name, subject, asked=False):  # prints one check: what happens in the block is its verdict
    ok, verdict, detail = [], "ok", ""
    try:
        yield ok
        ok.append(True)
    except Exception as why:
        verdict = "cannot check" if type(why) is Unknown else "bad"
        detail = str(why) if type(why) in (Unknown, ValueError) else f"malformed: {why!r}"
    FAILED.extend([name] * (verdict == "bad" or asked and not ok))
    print(f"{verdict}  {name}  {ascii(str(subject))[1:-1]}  {ascii(detail)[1:-1]}".rstrip())
def need(condition, why, error=ValueError):
    if not condition: raise error(why)
def b64(text): return need(re.fullmatch(B64, text), "base64 of another form") or base64.b64decode(text)
def sha256(data): return hashlib.sha256(data).digest()
def compact(value, **more): return json.dumps(value, separators=(",", ":"), ensure_ascii=False, **more).encode()
def form(values, names, order=sorted):  # each object of the list has exactly the members named; `list`: in that order
    need(type(values) is list and all(type(it) is dict and order(it) == order(names.split()) for it in values), names)
def parse(data, most, names, order=sorted):  # strict JSON with the members named; `list`: in anchor.md's one spelling
    unique = lambda pairs: need(len(dict(pairs)) == len(pairs), "a name stands twice in an object") or dict(pairs)
    whole = lambda text: need(False, f"the number {text}")
    it = json.loads(data.decode(), object_pairs_hook=unique, parse_float=whole, parse_constant=whole)
    need(len(data) <= most and (compact(it) == data or order is sorted), "too long, or in another spelling")
    return form([it], names, order) or it
# ---- Keys, checkpoints and who signed them, proofs (checkpoint.md, cosignature.md, policy.md, proof.md)
def verifies(public, signature, message, p=2**255 - 19):  # not by an Ed25519 key of small order or in a second encoding
    y, kind = int.from_bytes(public, "little") % 2**255, mldsa.MLDSA44PublicKey if public[32:] else ed.Ed25519PublicKey
    if len(public) == 32 and (y >= p or y * (y*y - 1) * (121665 * y**4 - 243332 * y*y + 121666) % p == 0): return False
    with contextlib.suppress(Exception): return kind.from_public_bytes(public).verify(signature, message) is None
def vkey(text, *kinds):  # a verifier key of one of the types
    name, digits, data = re.fullmatch(rf"([^\s+]+)\+([0-9a-f]{{8}})\+({B64})", text).groups()
    data, digest = b64(data), sha256(name.encode() + b"\n" + b64(data))[:4]
    need(data[0] in kinds and len(data) == (1313 if data[0] == 6 else 33) and digest.hex() == digits, "not such a key")
    return Thing(name=name, id=digest, kind=data[0], public=data[1:], text=text)
def log_keys(log):  # Ed25519, from which the log's origin comes, then perhaps ML-DSA-44
    keys = [vkey(text, kind) for text, kind in zip(log["vkeys"], (1, 6))]
    end = [key.name for key in keys] == [log["origin"]] * len(log["vkeys"]) and sha256(keys[0].public).hex()[:20]
    return need(end and log["origin"].endswith(f"/log/{end}"), "keys that are not the log's") or keys
def signed_by(point, key):  # the times (0: none) of the key's lines under a checkpoint; all of them must be right
    who, log = key.name.encode(), point.origin.encode()
    for line in [blob[4:] for name, blob in point.lines if (name, blob[:4]) == (key.name, key.id)]:
        time = 0 if key.kind == 1 else int.from_bytes(line[:8], "big")
        tree = bytes([len(log)]) + log + bytes(8) + point.size.to_bytes(8, "big") + point.root
        size, text = {1: (64, point.body), 4: (72, b"cosignature/v1\ntime %d\n" % time + point.body),
                      6: (2428, b"subtree/v1\n\0" + bytes([len(who)]) + who + line[:8] + tree)}[key.kind]
        good = len(line) == size and time < 2**63 and verifies(key.public, line[0 if key.kind == 1 else 8:], text)
        yield need(good, f"a wrong signature by {key.name}") or time
def log_signed(point, log, keys, policy):  # it is the log's checkpoint; did ML-DSA-44 sign too, where the log has it?
    times = [[*signed_by(point, key)] for key in keys]
    need(point.origin == log and times[0], "not of this log, or not signed by its Ed25519 key")
    known = {(key.name, key.id) for key in [*keys, *policy.keys.values()]}
    need(all((name, blob[:4]) in known for name, blob in point.lines), "a signature line by nobody known")
    return not keys[1:] or times[1] and not point.more
def quorum_time(point, policy):  # when the quorum had cosigned; infinity: it has not; None: no witness has
    signed, times, quorum = {name: [*signed_by(point, key)] for name, key in policy.keys.items()}, {"none": 0}, None
    stamps = {name: min(filter(None, signed[name]), default=math.inf) for name in signed}
    for what, name, *words in policy.lines:
        if what == "witness": times[name] = max(stamps[name], stamps.get(name + ".pq", 0))
        elif what == "group":
            times[name] = sorted(times[x] for x in words[1:])[int({"all": 0, "any": 1}.get(words[0], words[0])) - 1]
        elif what == "quorum": quorum = times[name]
    return quorum if any(signed.values()) or not quorum else None
def include(text, entry):  # the checkpoint of a tlog-proof, to whose root it leads from the entry
    it = re.fullmatch(rf"c2sp\.org/tlog-proof@v1\n(?:extra {B64}\n)?index ({NUM})\n((?:{HASH}\n){{0,63}})\n"
                      rf"(([^\n]+)\n({NUM})\n({HASH})\n((?:[^\n]+\n)*))\n((?:— [^\s+]+ \S+\n){{1,100}})", text)
    need(it and not re.search(r"[\0-\x09\x0b-\x1f]", text) and len(text.encode()) <= 655360, "not a tlog-proof")
    index, path, size, node = int(it[1]), it[2].split(), int(it[5]), sha256(b"\0" + entry)
    inner = (index ^ (size - 1)).bit_length()
    need(index < size < 2**63 and len(path) == inner + (index >> inner).bit_count(), "a wrong index or path")
    for level, other in enumerate(map(b64, path)):
        node = sha256(b"\1" + (other + node if level >= inner or index >> level & 1 else node + other))
    need(node == b64(it[6]), "the hashes do not lead to the root")
    lines = [(line.split(" ")[1], b64(line.split(" ")[2])) for line in it[8].split("\n")[:-1]]
    return Thing(index=index, origin=it[4], size=size, root=node, more=it[7], body=it[3].encode(), lines=lines)
# ---- The configuration excerpt (excerpt.md, member-file.md, rights-page.md)
def metadata(data, kind, version, *issuers):  # TUF metadata signed by each issuer (keys, a role); a root by itself, too
    meta = parse(data, 2**20, "signatures signed")
    it, signatures = meta["signed"], {by["keyid"]: bytes.fromhex(by["sig"]) for by in meta["signatures"]}
    text = re.sub(r'\\(["\\])|\\(u....|.)', lambda it: it[0] if it[1] else json.loads(f'"{it[0]}"'),
                  compact(it, sort_keys=True).decode()).encode()  # in canonical JSON only " and \ are escaped
    need(it["_type"] == kind and it["spec_version"][:2] == "1." and version in (None, it["version"]) and re.fullmatch(
        "[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z", it["expires"]), f"not {kind} metadata of this version")
    for keys, role in issuers + (((it["keys"], it["roles"]["root"]),) if kind == "root" else ()):
        names = {*role["keyids"]} & {name for name in keys if keys[name]["keytype"] == "ed25519"} & signatures.keys()
        right = [x for x in names if verifies(bytes.fromhex(keys[x]["keyval"]["public"]), signatures[x], text)]
        need(len(right) >= role["threshold"] > 0 and len(signatures) == len(meta["signatures"]), "signatures")
    return {**it, "until": datetime.datetime.fromisoformat(it["expires"]).timestamp() * 1000}
def read_member(data):  # a member file that verifies by itself
    envelope = parse(data, 2**20, "payload payloadType signatures", list)
    payload, kind = b64(envelope["payload"]), envelope["payloadType"].encode()
    it = parse(payload, 2**19, "type version member lineage key key_history names issued expires nodes logs subsystems "
               "services", list)
    text, past = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload), it["key_history"]
    need([kind, it["type"]] == [b"application/vnd.qaztech.member-file+json", "qaztech-member-file 1"], "no member file")
    need(any(verifies(b64(it["key"]), b64(by["sig"]), text) for by in envelope["signatures"]), "not signed by it")
    keys, steps = [x["from"] for x in past] + [it["key"]], [1, *(2 * x["version"] for x in past), 2 * it["version"] + 1]
    for old, key in zip(past, keys[1:]):
        text = "qaztech-member-key 1\nmember {}\nversion {version}\nfrom {from}\nto {to}\n".format(it["member"], **old)
        need(old["to"] == key and verifies(b64(old["from"]), b64(old["signature"]), text.encode()), "an unsigned key")
    need(sha256(b64(keys[0])).hex() == it["lineage"] and len({*keys}) == len(keys) and steps == sorted({*steps})
         and 0 < it["expires"] - it["issued"] <= 366 * 86400000, "a broken chain of keys, or valid for too long")
    need(all(log_keys(log) and log["node"].count("/") == 3 for log in it["logs"]), "a log of no node")
    for name, at, more in (("nodes", 2, "id address tls"), ("logs", 0, "origin node vkeys from until closed continues"),
                           ("subsystems", 0, "code names"), ("services", 0, "id type names disabled rights")):
        need(not form(it[name], more, list) and len({x[more.split()[at]] for x in it[name]}) == len(it[name]), name)
    return it
def read_snapshot(entry, blobs, anchor):  # what one snapshot says, verified from the anchor
    def listed(table, name, digest, *issuer):
        it, data = table[name], blobs[digest]
        need(it["hashes"]["sha256"] == digest and it["length"] == len(data), f"{name} is another")
        return metadata(data, "targets", it["version"], issuer) if issuer else data
    root = metadata(b64(anchor["root"]), "root", None)
    for x in entry["roots"]: root = metadata(blobs[x], "root", root["version"]+1, (root["keys"], root["roles"]["root"]))
    snapshot = metadata(blobs[entry["sha256"]], "snapshot", entry["version"], (root["keys"], root["roles"]["snapshot"]))
    targets = listed(snapshot["meta"], "targets.json", entry["targets"], root["keys"], root["roles"]["targets"])
    (role, keys), members, pages = (targets["delegations"][name] for name in ("succinct_roles", "keys")), {}, {}
    bins = {name: listed(snapshot["meta"], f"{name}.json", x, keys, role) for name, x in entry["bins"].items()}
    for path, digest in entry["files"].items():
        number = int.from_bytes(sha256(path.encode())[:4], "big") >> 32 - role["bit_length"]
        name = f"{role['name_prefix']}-{number:0{(role['bit_length'] + 3) // 4}x}"
        data = listed(bins[name]["targets"], path, digest)
        if path.startswith("rights/"):
            pages[digest] = it = parse(data, 16384, "type service version groups rights", list)
            need([path, it["type"]] == [f"rights/{digest}.json", "qaztech-rights-page 1"], "not a rights page")
        else:
            it = read_member(data)
            parts = [quote(unquote(part), "-._~") for part in it["member"].split("/")]
            need([parts[0], path] == [anchor["instance"], "members/{1}/{2}.json".format(*parts)], "another's file")
            members[it["member"]] = it
    ends = [x["until"] for x in (root, snapshot, targets, *bins.values())] + [x["expires"] for x in members.values()]
    return Thing(members=members, pages=pages, proof=entry["proof"], until=min(ends))
def read_excerpt(it, anchor):  # its snapshots, by the text that names them in records
    form([it], "format snapshots blobs") or form(xs := it["snapshots"], "version sha256 roots targets bins files proof")
    blobs = {name: text.encode() for name, text in it["blobs"].items()}
    names = [{e["sha256"], e["targets"], *[] + e["roots"], *e["bins"].values(), *e["files"].values()} for e in xs]
    need(blobs.keys() == set().union(*names) and all(sha256(blobs[x]).hex() == x for x in blobs), "other blobs")
    need(it["format"] == "qaztech-excerpt 1" and len({e["sha256"] for e in xs}) == len(xs) in range(1, 9)
         and len(compact(it)) <= 204800, "not an excerpt")
    return {f"{e['version']} {e['sha256']}": read_snapshot(e, blobs, anchor) for e in xs}
def member_of(files, name):  # the member file of whom an identifier begins with
    return need(files, "no configuration that verifies", Unknown) or files.members["/".join(name.split("/")[:3])]
def speaking(files, origin, party, time=None):  # the keys of a log that speaks for a party's member (at a time)
    own = [it for it in member_of(files, party)["logs"] if it["origin"] == origin]
    own += [it for log in own for it in member_of(files, log["node"])["logs"] if it["origin"] == origin]
    need(len(own) == 2 and [own[0]["node"], own[0]["vkeys"]] == [own[1]["node"], own[1]["vkeys"]] and all(
        time is None or it["from"] <= time and (it["until"] is None or time < it["until"]) for it in own), "not its")
    return log_keys(own[1])
# ---- The receipt (receipt.md, record.md, commitment.md)
def cover(pattern, path):  # the endpoint's pattern covers the path, in both readings (rights-page.md)
    plain = lambda text: re.sub("%[0-9a-fA-F]{2}", lambda it: quote(unquote(it[0], "latin-1"), "", "latin-1"), text)
    system = lambda text: re.sub(r"(?i)(/|\\|%2F|%5C)+", "/", plain(text).replace("%25", "%"))
    for to in (plain, system):
        parts = [{"/*": "/[^/]*", "/**": "(/[^/]*)*"}.get(x) or re.escape(x) for x in re.findall("/[^/]*", to(pattern))]
        need(re.fullmatch("".join(parts), to(path)), "the endpoint does not cover the path")
    need(not {".", ".."} & {*re.split(r"[/\\;]", unquote(unquote(path)))}, "a path with dots")
def verify(receipt, anchor, bodies, require):  # runs all checks; the state found
    registry, policy, records, snapshots = anchor["registry_log"], anchor["policy"], [], {}
    for number, message in enumerate(receipt["messages"]):
        with check("record", f"{number} {message['role']}") as parsed:
            data = b64(message["record"])
            kind = data.decode().split("\n")[1].removeprefix("kind ")
            lines = [f"{x} (?P<{x}>{FIELDS[x]})\n" for x in ["message", "from", "to", *KINDS[kind].split()]]
            it = re.fullmatch(f"qaztech-record 1\nkind {kind}\n{''.join(lines)}", data.decode()).groupdict()
            need(len(data) <= 16384 and (it.get("size") == "-") == (it.get("body") == "-"), "its length or size")
            need(message["role"] == ("request" if kind.startswith("request") else "response"), "another role")
            records.append(it := it | {"kind": kind, "time": int(it["time"]), "held": {}, "leaf": sha256(b"\0" + data)})
        for log, text in [(proof["log"], proof["proof"]) for proof in message["proofs"]] if parsed else ():
            with check("inclusion", f"{kind} in {log}"): it["held"][log] = include(text, data)
    request = (by := {it["kind"] + it["from"] * (it["kind"] == "aborted"): it for it in records}).get("request")
    with check("exchange", "receipt") as whole:
        need(len(records) == len(receipt["messages"]), "a record is unreadable", Unknown)
        need(request and len(by) == len(records) and not {"response", "refused"} <= by.keys(), "not one exchange")
        way = [request["from"], request["to"]]
        for it in records:
            kind, goes, head = it["kind"], [it["from"], it["to"]], by.get(it["kind"][:-5]) or request  # X of X-tail
            need(goes in ([way] if kind[:3] in ("req", "no-") else [way[::-1]] + [way] * (kind == "aborted")), kind)
            need(it["message"] == receipt["message"] and it["from"] in it["held"].keys() <= {*way} and all(
                it.get(name, request[name]) == request[name] for name in ("client", "service")), f"{kind} not of it")
            (leaf, _, index), at = it.get("head", it.get("request", "")).partition(" "), head["held"].get(head["from"])
            need(it is request or b64(leaf) == head["leaf"] and (not at or int(index) == at.index), f"{kind}: its head")
            need("head" not in it or head["size"] == "-" != it["size"], f"{kind} of a head that has a size")
    with check("configuration", "excerpt"): snapshots = read_excerpt(receipt["configuration"], anchor)
    for name in {it["snapshot"]: 0 for it in records if "snapshot" in it}:
        with check("configuration", f"snapshot {name.split()[0]}"):
            files = need(snapshots, "the excerpt does not verify", Unknown) or snapshots.pop(name)
            need(files.proof is not None, "not witnessed in the registry's log yet", Unknown)
            proof = include(files.proof, "qaztech-snapshot 1\nversion {}\nsha256 {}\n".format(*name.split()).encode())
            time = log_signed(proof, registry["origin"], log_keys(registry), policy) and quorum_time(proof, policy)
            need(type(time) is int, "not signed or not witnessed in the registry's log")
            snapshots[name] = files
            need(all(it["time"] < files.until for it in records if it.get("snapshot") == name), "past its end")
    met = {(None, key.name, key.text) for key in policy.keys.values()} | {
        ("/".join(str(log["node"]).split("/")[:3]), log["origin"], key) for files in snapshots.values()
        for it in files.members.values() for log in it["logs"] for key in log["vkeys"]}
    for log in receipt["logs"] if snapshots else ():
        with check("logs", log["origin"]):
            need(log["vkeys"] and {(log["member"], log["origin"], key) for key in log["vkeys"]} <= met, "other keys")
    for it in records if request else ():
        kind, at, when = it["kind"], it["time"], 0 if it["held"] else math.inf
        party = [(request["from"], request["client"]), (request["to"], request["service"])]
        files = snapshots.get(it.get("snapshot", request["snapshot"]))
        for log, proof in it["held"].items():
            with check("checkpoint", f"{kind} in {log}") as proof.signed:
                proof.hybrid = log_signed(proof, log, speaking(files, log, dict(party).get(log, "")), policy)
            with check("cosignatures", f"{kind} in {log}") as proof.seen:
                before, when, time = when, math.inf, quorum_time(proof, policy)
                need(time is not None, "no cosignature by a witness of the policy", Unknown)
                need(time < math.inf, "fewer witnesses than the quorum")
                need(proof.signed, "not the log's", Unknown) or need(proof.hybrid, "no ML-DSA-44 signature by the log")
                when = max(before, time)
        with check("parties", kind): need([speaking(files, *pair, at) for pair in party], "")
        with check("time", kind):
            need(at <= int(it.get("expires", at)), "made after its end")
            need(0 < when < math.inf, "no witnessed time", Unknown)
            need(at <= when * 1000 + 60000, "made more than 60 s after it was witnessed")
            need([speaking(files, *pair, when * 1000) for pair in party] and when * 1000 < files.until, "expired then")
    shown = [(it["role"], it["field"], it["salt"], it.get("value")) for it in receipt["disclosure"]]
    with check("right", "request"):
        client, service, named = request["client"], request["service"], request["endpoint"]
        if named != "-" or not re.fullmatch(METADATA, f"{request['method']} {service.split('/')[-1]}"):
            theirs = member_of(files := snapshots.get(request["snapshot"]), client)
            (it,) = [it for it in member_of(files, service)["services"] if it["id"] == service]
            page = files.pages[[line["sha256"] for line in it["rights"] if line["first"] <= client][-1]]
            need(it["disabled"] is None and page["service"] == service, "not a service that may be called")
            need(client.split("/")[3] in [it["code"] for it in theirs["subsystems"]], "not a subsystem of its member")
            who, (method, pattern) = {"client": client, "lineage": theirs["lineage"]}, named.split(" ")
            given = [it for it in page["rights"] if type(it["endpoints"]) is list and named in it["endpoints"] and (
                it["until"] is None or request["time"] < it["until"])]
            need(method in ("*", request["method"]) and any(who in page["groups"].get(
                it["group"], [{x: it[x] for x in who}]) for it in given), "no right that holds")
            for x in shown: x[:2] == ("request", "path") and cover(pattern, b64(x[3]).decode() or "/")
    shown += [(role, "body", "", "") for role in bodies if (role, "body") not in [it[:2] for it in shown]]
    for role, field, salt, value in shown:
        with check("commitment", f"{role} {field}", asked=role in bodies and field == "body"):
            it = by.get(role + "-tail" * (field == "body" and by.get(role, {}).get("size") == "-"))
            need(it, "the record is not there", Unknown)
            value = bodies.get(role, b"" if it["size"] == "0" else None) if field == "body" else b64(value)
            need(salt and value is not None, "the body or its salt is not given", Unknown)
            need(sha256(b64(salt) + sha256(value)) == b64(it[field]), "not what the record commits to")
    for name in ["timestamp"] * len(receipt["timestamps"]) + ["seal"] * len(receipt["seals"]):
        with check(name, "receipt"): raise Unknown("this program does not check it")
    found = 2 * bool(whole and {it["kind"] for it in records} & {"response", "refused", "no-answer", "aborted"} and all(
        (it.get("size") != "-" or f"{it['kind']}-tail" in by) and all(getattr(it["held"].get(x), "signed", 0) for x in (
            it["from"], it["from" if it["kind"] in ("no-answer", "aborted") else "to"])) for it in records))
    found -= found and not all(proof.seen for it in records for proof in it["held"].values())
    for wanted in [receipt["state"]] + [require] * bool(require):
        with check("state", f"at least {wanted}", asked=wanted == require):
            need(found < 2 or not receipt.get(wanted[:-2] + "s"), "timestamps and seals are not checked here", Unknown)
            need(found >= STATES.index(wanted), f"it is {STATES[found]}")
    return STATES[found]
if __name__ == "__main__":
    parser, get = argparse.ArgumentParser(description=__doc__), lambda name: open(name, "rb").read()
    parser.error = lambda why: parser.exit(1, f"{why}\n")
    for name, more in (("file", {}), ("--anchor", {"required": True}), ("--body", {}), ("--request-body", {}),
                       ("--require", {"choices": STATES[1:]})): parser.add_argument(name, **more)
    arg = parser.parse_args()
    with check("form", "receipt") as whole:
        bodies = {x: get(y) for x, y in (("response", arg.body), ("request", arg.request_body)) if y}
        anchor = parse(get(arg.anchor), 2**18, "type instance root registry_log policy tsas issued", list)
        need(anchor["type"] == "qaztech-anchor 1" and log_keys(anchor["registry_log"]), "not an anchor")
        ls = [re.findall("[^ \t]+", x) for x in re.sub("(?m)^[ \t]*(#.*)?\n", "", anchor["policy"]).split("\n")]
        need(not ls.pop() and all(re.fullmatch(POLICY, " ".join(x)) and (x[0][3:] or vkey(x[1], 1, 6)) for x in ls), "")
        once = [x for it in ls for x in {"quorum": [" "], "group": [" " + it[1], *it[3:]]}.get(it[0], [" " + it[1]])]
        need(len({*once}) == len(once) and " " in once and not {"none", " none"} & {*once}, "a name twice, no quorum")
        ks = {it[1]: vkey(it[2], *((6,) if it[1].endswith(".pq") else (4, 6))) for it in ls if it[0] == "witness"}
        anchor["policy"] = need(len({x.public for x in ks.values()}) == len(ks), "") or Thing(lines=ls, keys=ks)
        it = parse(get(arg.file), 4**11, "format message messages logs configuration timestamps seals disclosure state")
        need(it["format"] == "qaztech-receipt 1" and it["state"] in STATES, "not a receipt")
        for xs, has in ((it["messages"], "role record proofs"), *((x["proofs"], "log proof") for x in it["messages"]), (
              it["logs"], "origin member vkeys"), (it["seals"], "log note seal"), (it["timestamps"], "log note token")):
            form(xs, has) or [b64(x[name]) for x in xs for name in ("record", "token", "seal") if name in x]
        for x in [] + it["disclosure"]:
            form([x], "role field salt" + " value" * (x["field"] != "body"))
            need(x["role"] in ("request", "response") and re.fullmatch(HASH, x["salt"]), "a disclosure of another form")
        unique = [[(x["role"], x["field"]) for x in it["disclosure"]], [x["origin"] for x in it["logs"]], *(
            [x["log"] for x in message["proofs"]] for message in it["messages"])]
        need(all(len({*x}) == len(x) <= 64 for x in unique) and 0 < len(it["messages"]) <= 8, "too many, or one twice")
    print("state ", verify(it, anchor, bodies, arg.require) if whole else "unknown")
    raise SystemExit(print("does not verify" if FAILED else "verifies") or bool(FAILED))
