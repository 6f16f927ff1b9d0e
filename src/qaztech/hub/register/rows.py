"""The record of a digital object, as rows of tables: what a body declares and the center keeps.

One class for each table; a field's type says what a cell may hold. Nothing here is required but the keys: a register
is filled in over years, and what is missing is a finding, not an error. Source: Digital Code art. 71 and 84-91, and
the record proposed from them. Not here: reading cells (`columns`), the rules of the life cycle (`lifecycle`).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

Text = str
Day = date
# A list in one cell, parts separated by semicolons.
Words = tuple[str, ...]
Bin = Annotated[str, Meta(extra={"form": "bin"})]
Kato = Annotated[str, Meta(extra={"form": "kato"})]
# YYYY-MM.
Month = Annotated[str, Meta(extra={"form": "month"})]
# Whole tenge.
Tenge = Annotated[int, Meta(ge=0, le=10**15, extra={"form": "tenge"})]
Count = Annotated[int, Meta(ge=0, le=10**15)]
# The id of a digital object.
ObjectId = Annotated[str, Meta(extra={"form": "object"})]
Objects = Annotated[tuple[str, ...], Meta(extra={"form": "objects"})]


class ObjectKind(StrEnum):
    """Kinds of digital object (Digital Code art. 20)."""

    SYSTEM = "digital_system"
    PLATFORM = "platform"
    RESOURCE = "digital_resource"
    SOFTWARE = "software"
    DATA_PRODUCT = "data_product"
    INFRASTRUCTURE = "infrastructure"


class Status(StrEnum):
    """Where an object stands in its life (Digital Code art. 84-91)."""

    PLANNING = "planning"
    CREATION = "creation"
    TRIAL = "trial"
    SECURITY_TESTS = "security_tests"
    COMMISSIONED = "commissioned"
    OPERATION = "operation"
    DEVELOPMENT = "development"
    MODIFICATION = "modification"
    CEASED = "ceased"
    ARCHIVED = "archived"
    WRITTEN_OFF = "written_off"


class UseChannel(StrEnum):
    """Where a system's use happens, as its owner declares it."""

    BACKBONE = "backbone"
    PEOPLE = "people"
    MIXED = "mixed"
    OFFLINE = "offline"


class Disposition(StrEnum):
    """What is to become of an object."""

    MIGRATE = "migrate"
    REWRITE = "rewrite"
    RETIRE = "retire"
    KEEP = "keep"


class Hosting(StrEnum):
    """Where an object runs."""

    QAZTECH = "qaztech"
    OWN = "own"
    COMMERCIAL = "commercial"


class Acquisition(StrEnum):
    """How an object was come by (Digital Code art. 73 and 82)."""

    CREATE = "create"
    DEVELOP = "develop"
    PURCHASE = "purchase"
    PLATFORM_PRODUCT = "platform_product"
    SERVICE_MODEL = "service_model"


class CostKind(StrEnum):
    """What money was for."""

    CREATION = "creation"
    DEVELOPMENT = "development"
    MODIFICATION = "modification"
    SUPPORT = "support"
    HOSTING = "hosting"
    LICENCES = "licences"


class DocumentType(StrEnum):
    """Documents of an object's life."""

    CONCEPT = "concept"
    TECHNICAL_ASSIGNMENT = "technical_assignment"
    DIGITAL_CONCLUSION = "digital_conclusion"
    SECURITY_CONCLUSION = "security_conclusion"
    TRIAL_ORDER = "trial_order"
    TRIAL_ACT = "trial_act"
    SECURITY_TEST = "security_test"
    COMMISSIONING_ACT = "commissioning_act"
    MODIFICATION_CONSENT = "modification_consent"
    EXEMPTION = "exemption"
    CESSATION_NOTICE = "cessation_notice"
    ARCHIVE_ACT = "archive_act"
    LICENCE = "licence"


class Channel(StrEnum):
    """What an integration passes through (Digital Code art. 83); `direct` and `file` pass by the gateway."""

    GATEWAY = "gateway"
    EXTERNAL = "external"
    NATIONAL = "national"
    DIRECT = "direct"
    FILE = "file"


class KeyRole(StrEnum):
    """Roles without whose holder an object has nobody who knows it."""

    PRODUCT_OWNER = "product_owner"
    ARCHITECT = "architect"
    LEAD_DEVELOPER = "lead_developer"
    ADMINISTRATOR = "administrator"
    SECURITY_OFFICER = "security_officer"


class OrganisationClass(StrEnum):
    """The backbone's member classes."""

    GOV = "GOV"
    QUASI = "QUASI"
    COM = "COM"
    EDU = "EDU"


class OrganisationKind(StrEnum):
    """What an organisation is."""

    MINISTRY = "ministry"
    COMMITTEE = "committee"
    AKIMAT = "akimat"
    HOLDING = "holding"
    COMPANY = "company"
    UNIVERSITY = "university"
    SUPPLIER = "supplier"


class CostState(StrEnum):
    """Whether money is planned or spent."""

    PLANNED = "planned"
    PAID = "paid"


class IntegrationStatus(StrEnum):
    """Whether an integration is said to be used."""

    PLANNED = "planned"
    ACTIVE = "active"
    STOPPED = "stopped"


class AiRisk(StrEnum):
    """Risk of an AI system, as the AI law has it."""

    MINIMAL = "minimal"
    MEDIUM = "medium"
    HIGH = "high"


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A row of a table. `KEY` names the fields that tell it from others of its table."""

    KEY: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> str:
        """The key as one text: the key fields, joined by `|`."""
        return "|".join(_plain(getattr(self, name)) for name in self.KEY)


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


class Organisation(Row, frozen=True, kw_only=True):
    """A body: state, quasi-state, university or supplier."""

    KEY: ClassVar = ("bin",)
    bin: Bin
    class_: OrganisationClass | None = msgspec.field(default=None, name="class")
    name_kk: Text = ""
    name_ru: Text = ""
    name_en: Text = ""
    kind: OrganisationKind | None = None
    parent_bin: Bin | None = None
    kato: Kato | None = None
    area: Text = ""


class DigitalObject(Row, frozen=True, kw_only=True):
    """A digital object (Digital Code art. 20 and 71).

    `declared_users` people; `initial_estimate` the first estimate of its creation, from which 20 % are counted;
    `platform_products` objects of the platform that do what it does; `register_data` what it takes from registers, as
    `object:element`; `actualised` the day the body last confirmed the record.
    """

    KEY: ClassVar = ("id",)
    id: ObjectId
    kind: ObjectKind | None = None
    name_kk: Text = ""
    name_ru: Text = ""
    name_en: Text = ""
    purpose_kk: Text = ""
    purpose_ru: Text = ""
    purpose_en: Text = ""
    owner_bin: Bin | None = None
    holder_bin: Bin | None = None
    operator_bin: Bin | None = None
    area: Text = ""
    kato: Kato | None = None
    legal_basis: Words = ()
    functions: Words = ()
    public_services: Words = ()
    status: Status | None = None
    status_since: Day | None = None
    created: Day | None = None
    object_class: Annotated[int, Meta(ge=1, le=3)] | None = None
    critical: bool | None = None
    subsystems: Words = ()
    use_channel: UseChannel | None = None
    data_elements: Words = ()
    source_of_truth: bool | None = None
    register_data: Words = ()
    personal_data: Words = ()
    hosting: Hosting | None = None
    data_location: Text = ""
    stack: Words = ()
    monolith: bool | None = None
    source_code_deposited: bool | None = None
    declared_users: Count | None = None
    initial_estimate: Tenge | None = None
    acquisition: Acquisition | None = None
    platform_products: Words = ()
    disposition: Disposition | None = None
    disposition_due: Day | None = None
    exemption: Text = ""
    result: Words = ()
    ai: bool | None = None
    actualised: Day | None = None


class Cost(Row, frozen=True, kw_only=True):
    """Money of one object, year and kind."""

    KEY: ClassVar = ("object", "year", "kind", "programme", "state")
    object: ObjectId
    year: Annotated[int, Meta(ge=1991, le=2100)]
    kind: CostKind
    tenge: Tenge
    programme: Text = ""
    state: CostState | None = None


class Contract(Row, frozen=True, kw_only=True):
    """A contract with a supplier, or the part of it for one object: a contract may be for several."""

    KEY: ClassVar = ("id", "object")
    id: Text
    object: ObjectId
    supplier_bin: Bin | None = None
    subject: Text = ""
    signed: Day | None = None
    ends: Day | None = None
    warranty_until: Day | None = None
    tenge: Tenge | None = None


class Affiliation(Row, frozen=True, kw_only=True):
    """A supplier that belongs to a group of affiliated ones."""

    KEY: ClassVar = ("supplier_bin", "group")
    supplier_bin: Bin
    group: Text


class Component(Row, frozen=True, kw_only=True):
    """A part of an object's software as it was delivered; `fingerprint` is the SHA-256 of its source, hex."""

    KEY: ClassVar = ("object", "component")
    object: ObjectId
    component: Text
    fingerprint: Text = ""
    supplier_bin: Bin | None = None


class Document(Row, frozen=True, kw_only=True):
    """A document of an object; `sha256` of its file, hex."""

    KEY: ClassVar = ("object", "type", "number")
    object: ObjectId
    type: DocumentType
    number: Text = ""
    date: Day | None = None
    valid_until: Day | None = None
    sha256: Text = ""


class RoleHolder(Row, frozen=True, kw_only=True):
    """Who holds a key role; `holder` and `successor` are pseudonyms, never names."""

    KEY: ClassVar = ("object", "role", "holder", "since")
    object: ObjectId
    role: KeyRole
    holder: Text = ""
    since: Day | None = None
    until: Day | None = None
    successor: Text = ""


class Integration(Row, frozen=True, kw_only=True):
    """Data that flows from one object (the provider) to another (the consumer), as declared."""

    KEY: ClassVar = ("id",)
    id: Text
    consumer_object: ObjectId
    provider_object: ObjectId
    service: Text = ""
    channel: Channel | None = None
    status: IntegrationStatus | None = None
    declared_monthly_calls: Count | None = None
    elements: Words = ()
    since: Day | None = None


class Interface(Row, frozen=True, kw_only=True):
    """The field names in the schemas of a service's OpenAPI description."""

    KEY: ClassVar = ("object", "service")
    object: ObjectId
    service: Text = ""
    fields: Words = ()


class Milestone(Row, frozen=True, kw_only=True):
    """A milestone in one version of a plan; each re-baselining adds a version and the first is kept for ever."""

    KEY: ClassVar = ("object", "name", "version")
    object: ObjectId
    name: Text
    version: Count = 1
    due: Day | None = None
    budget: Tenge | None = None
    done: Day | None = None
    recorded: Day | None = None


class Migration(Row, frozen=True, kw_only=True):
    """What is left to be done to move an object."""

    KEY: ClassVar = ("object",)
    object: ObjectId
    person_days_left: Count | None = None
    team: Count | None = None
    target: Day | None = None


class AiCard(Row, frozen=True, kw_only=True):
    """What is declared of an AI system."""

    KEY: ClassVar = ("object",)
    object: ObjectId
    risk: AiRisk | None = None
    reviewed: Day | None = None
    output_labelled: bool | None = None


class Compute(Row, frozen=True, kw_only=True):
    """Accelerator hours of one month."""

    KEY: ClassVar = ("object", "month")
    object: ObjectId
    month: Month
    gpu_hours_allocated: Count | None = None
    gpu_hours_used: Count | None = None


class Signal(Row, frozen=True, kw_only=True):
    """Sign-ins of one month, counted and signed by an identity provider: a second sign of use."""

    KEY: ClassVar = ("object", "month")
    object: ObjectId
    month: Month
    sign_ins: Count
    signed_by: Bin | None = None


TABLES: dict[str, type[Row]] = {
    "organisations": Organisation,
    "objects": DigitalObject,
    "costs": Cost,
    "contracts": Contract,
    "affiliations": Affiliation,
    "components": Component,
    "documents": Document,
    "roles": RoleHolder,
    "integrations": Integration,
    "interfaces": Interface,
    "milestones": Milestone,
    "migration": Migration,
    "ai_cards": AiCard,
    "compute": Compute,
    "signals": Signal,
}
NAMES: dict[type[Row], str] = {row: name for name, row in TABLES.items()}
