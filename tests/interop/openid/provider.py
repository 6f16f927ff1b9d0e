"""The real OpenID provider of the test: Canaille, in memory, with one client and two people. Run by its own Python.

python provider.py PORT REDIRECT_URI
"""

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey

port, redirect_uri = int(sys.argv[1]), sys.argv[2]
app = create_app(
    {
        "SECRET_KEY": "of a test",
        "SERVER_NAME": f"localhost:{port}",
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE": {"DATABASE": "memory", "ENABLE_REGISTRATION": False, "SMTP": None},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [RSAKey.generate_key(2048).as_dict(private=True)], "TRUSTED_DOMAINS": []},
    }
)
with app.app_context(), Backend.instance.session():
    people = []
    for name, given, family in (("dana", "Дана", "Серік"), ("stranger", "Бөтен", "Адам")):
        user = models.User(
            user_name=name, formatted_name=f"{given} {family}", given_name=given, family_name=family,
            emails=[f"{name}@example.kz"], password="correct horse battery staple",
        )  # fmt: skip
        Backend.instance.save(user)
        people.append(user)
    Backend.instance.save(models.Group(display_name="qaztech-developers", members=[people[0]]))
    client = models.Client(
        client_id="console",
        client_secret="secret of the client",
        client_name="Console",
        client_uri=redirect_uri,
        redirect_uris=[redirect_uri],
        grant_types=["authorization_code"],
        response_types=["code"],
        scope=["openid", "profile", "groups"],
        token_endpoint_auth_method="client_secret_post",
    )
    Backend.instance.save(client)
    client.audience = [client]
    Backend.instance.save(client)


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


class Threads(ThreadingMixIn, WSGIServer):
    """Browsers open connections that they do not use at once; one thread would wait for them."""

    daemon_threads = True


with make_server("127.0.0.1", port, app, Threads, Quiet) as server:
    print("ready", flush=True)
    server.serve_forever()
