"""The settings of a node, as they stand in its `node.toml`. Every limit is here; nothing else is read at run time."""

from __future__ import annotations

from typing import Literal

import msgspec


class Section(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What all tables share: unknown keys are refused."""


class MemberSettings(Section, frozen=True, kw_only=True):
    """A member this node serves. The node knows its own members' lineages from here, not from the registry."""

    id: str
    lineage: str
    # Other nodes, TLS keys and logs that rightly speak for this member, as the alarms spell them.
    acknowledged: list[str] = []
    # Where this member's desk takes requests for access: `http://127.0.0.1:PORT/exchanges/<secret>`, or https. The path
    # is what the desk knows the node by, so it is as secret as a password. Empty: no requests are taken.
    desk: str = ""
    # File in which the member's desk tells how often a client may call; read again when it changes.
    limits: str = ""


class ClientSettings(Section, frozen=True, kw_only=True):
    """How one calling subsystem authenticates at the consumer edge: by any of the ways given."""

    id: str
    # SHA-256 (hex) of bearer tokens; the tokens themselves are never stored.
    token_hashes: list[str] = []
    # SHA-256 (hex) of the SPKI of client certificates.
    certificate_hashes: list[str] = []
    # Nothing at all, from loopback only. For the embedded default.
    loopback: bool = False


class ServiceSettings(Section, frozen=True, kw_only=True):
    """Where a service's system is, and how it is called."""

    id: str
    url: str
    # File with the OpenAPI description, for `getOpenAPI`.
    openapi: str = ""
    connect_timeout: float = 5.0
    timeout: float = 30.0
    connections: int = 64
    # TLS to the system: `ca` to verify it by, `certificate` and `key` to show it; all PEM files.
    ca: str = ""
    certificate: str = ""
    key: str = ""
    # Pass a streamed body on as it comes, before it is verified to its end.
    early: bool = False
    # A notice to callers while the service is switched off.
    disabled: str = ""


class EdgeSettings(Section, frozen=True, kw_only=True):
    """The consumer edge, where the members' systems call."""

    host: str = "127.0.0.1"
    port: int = 8080
    # PEM files; without them the edge speaks plain HTTP.
    certificate: str = ""
    key: str = ""
    # Verify client certificates by these; needed for clients that authenticate by certificate.
    ca: str = ""
    dialect: Literal["7.8", "7.7"] = "7.8"
    max_header_bytes: int = 32 * 1024
    max_headers: int = 100
    max_target_bytes: int = 8 * 1024
    # Bodies up to here travel whole, in one frame with their record; larger ones stream.
    whole_body_bytes: int = 64 * 1024
    max_body_bytes: int = 2 * 1024**3
    max_connections: int = 2000


class LinkSettings(Section, frozen=True, kw_only=True):
    """Where peers connect, and by which certificate."""

    host: str = "127.0.0.1"
    port: int = 5500
    # Whether the node has its certificate renewed by the registry, at two thirds of its life.
    renew_certificate: bool = True
    # For how long the member's file must have named a new TLS key before it is shown: all peers know it by then.
    key_overlap_seconds: float = 60.0


class ManagementSettings(Section, frozen=True, kw_only=True):
    """The management API of the node; loopback only unless a token is set."""

    host: str = "127.0.0.1"
    port: int = 4000
    # SHA-256 (hex) of the bearer token that may read receipts and exchanges.
    token_hash: str = ""


class ExchangeSettings(Section, frozen=True, kw_only=True):
    """Limits of an exchange."""

    request_lifetime_seconds: float = 30.0
    answer_timeout_seconds: float = 60.0
    max_exchanges: int = 4096
    max_waiting_appends: int = 8192
    # Calls of `accessRequests` by one client.
    access_requests_a_minute: int = 30


class WitnessSettings(Section, frozen=True, kw_only=True):
    """Whether this node also witnesses the logs of others."""

    # Key name of the witness; empty: it does not.
    name: str = ""


class OperationalSettings(Section, frozen=True, kw_only=True):
    """Where operational data goes, and as whom; it is delivered by a process beside the node."""

    # The centre's service, and the node's own subsystem that calls it; without them nothing is delivered.
    service: str = ""
    client: str = ""
    every_seconds: float = 300.0
    # Days for which delivered files stay on this machine; 0: for ever. They can be made again from the log.
    keep_days: int = 0
    # File with that subsystem's bearer token for the edge; empty where being on this machine is enough.
    token_file: str = ""


class TracingSettings(Section, frozen=True, kw_only=True):
    """Traces for an OpenTelemetry collector; they need the extra `tracing`."""

    # The collector's URL for traces (OTLP over HTTP), such as http://127.0.0.1:4318/v1/traces; empty: no traces.
    endpoint: str = ""
    # Part (0 to 1) of the calls that come without a trace of their own which is traced from here on.
    ratio: float = 0.0


class NodeSettings(Section, frozen=True, kw_only=True):
    """All settings of a node."""

    id: str
    # Everything the node keeps lies here: log, configuration, keys.
    directory: str
    anchor: str
    registry: str
    refresh_seconds: float = 20.0
    witnessing_seconds: float = 30.0
    # URL of an RFC 3161 timestamping authority; empty: none.
    timestamping: str = ""
    timestamping_seconds: float = 600.0
    members: list[MemberSettings]
    clients: list[ClientSettings] = []
    services: list[ServiceSettings] = []
    edge: EdgeSettings = EdgeSettings()
    link: LinkSettings = LinkSettings()
    management: ManagementSettings = ManagementSettings()
    exchange: ExchangeSettings = ExchangeSettings()
    witness: WitnessSettings = WitnessSettings()
    operational: OperationalSettings = OperationalSettings()
    tracing: TracingSettings = TracingSettings()
