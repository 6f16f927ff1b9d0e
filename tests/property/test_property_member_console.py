"""What people type at a member's console: whatever it is, our own error or exactly what was meant."""

from __future__ import annotations

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from qaztech.core.errors import Conflict, Malformed
from qaztech.member.node_settings import with_service
from qaztech.member.service_url import check_service_url

RESERVED = ("http://127.0.0.1:8420", "http://127.0.0.1:4000")
HOSTS = st.sampled_from([
    "localhost", "127.0.0.1", "127.9.9.9", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "a.localhost",
    "LOCALHOST", "localhost.", "10.0.0.5", "169.254.169.254", "0", "[::]", "user@127.0.0.1", "127.0.0.1@10.0.0.5",
])  # fmt: skip
TOML = """# The node.
id = "N"
[[services]]
id = "A"
url = "http://10.0.0.1"
[edge]
port = 8080
"""


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=60), st.from_regex(r"https?://[ -~]{0,40}", fullmatch=True)))
def test_no_address_brings_anything_down(url: str) -> None:
    """Taken as it was typed, or refused."""
    try:
        passed = check_service_url(url, RESERVED)
    except Malformed:
        return
    assert passed == url.strip()


@settings(max_examples=150, deadline=None)
@given(HOSTS, st.sampled_from([":4000", ":8420", ":04000", ":4000 ", ":4000\t"]), st.sampled_from(["", "/", "/reload"]))
def test_no_spelling_of_this_machine_leads_to_the_node(host: str, port: str, path: str) -> None:
    """Only what is certainly another machine passes, with the same port too."""
    try:
        passed = check_service_url(f"http://{host}{port}{path}", RESERVED)
    except Malformed:
        return
    assert "//10.0.0.5:" in passed


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=20), st.text(max_size=40), st.text(max_size=20))
def test_settings_say_what_was_meant_or_do_not_change(service: str, url: str, openapi: str) -> None:
    """Quotes, brackets, backslashes and line breaks do not get out of their string."""
    before = tomllib.loads(TOML)
    try:
        after = tomllib.loads(with_service(TOML, service, {"url": url, "openapi": openapi}))
    except (Malformed, Conflict):
        return
    services = {each["id"]: each for each in after.pop("services")}
    assert services[service] == {"id": service, "url": url, "openapi": openapi}
    assert services["A"] == before.pop("services")[0] or service == "A"
    assert after == before
