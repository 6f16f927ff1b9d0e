"""The models a gateway offers: under which name, where each is hosted, on which terms. Pure; read from its settings.

A model may be hosted in several places (deployments); which of them may take a call is `policy`, which one takes it is
`routing`. A deployment is a service of some member, called over the backbone as any other.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from qaztech.ai.terms import HIGHEST_OF, DataClass, Mode, within
from qaztech.core.errors import Malformed
from qaztech.core.ids import ServiceId

Kind = Literal["chat", "embedding"]
_Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$")]
_Seconds = Annotated[float, Meta(gt=0, le=3600)]
# Whole tenge for a million tokens; so a token costs a whole number of micro-tenge.
_Price = Annotated[int, Meta(ge=0, le=100_000_000)]
# Where personal data may be processed (law 94-V, art. 12 and 16).
RESIDENCE = "KZ"


class Deployment(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One place that hosts a model: a member's `service` (`KZ/QUASI/…/models/chat`), or a `url` for trying."""

    name: _Name
    service: str = ""
    url: str = ""
    # What the server there calls the model, and which version that is, as it stands in records.
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    version: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$")] = "unversioned"
    mode: Mode
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] = RESIDENCE
    # A lower class than the mode allows, where its host wants that; empty: what the mode allows.
    highest_class: DataClass | Literal[""] = ""
    prompt_price: _Price
    completion_price: _Price = 0
    max_completion: Annotated[int, Meta(ge=1, le=1_000_000)] = 1024
    first_byte_seconds: _Seconds = 120.0
    total_seconds: _Seconds = 600.0
    weight: Annotated[int, Meta(ge=1, le=1000)] = 1
    # Places of a lower rank are asked while one of them takes calls; the others are what is fallen back on.
    rank: Annotated[int, Meta(ge=0, le=9)] = 0

    @property
    def highest(self) -> DataClass:
        """The highest class of data this place may be given: its mode, where it stands, and its host's own wish."""
        by_mode = HIGHEST_OF[self.mode] if self.country == RESIDENCE else "public"
        return self.highest_class if self.highest_class and within(self.highest_class, by_mode) else by_mode

    def cost(self, prompt: int, completion: int) -> int:
        """What so many tokens cost, in micro-tenge."""
        return prompt * self.prompt_price + completion * self.completion_price


class Model(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What callers name, and where it is hosted. `cache_seconds`: how long an equal question has the same answer."""

    name: _Name
    kind: Kind = "chat"
    deployments: Annotated[tuple[Deployment, ...], Meta(min_length=1, max_length=32)]
    cache_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 0.0


def check_models(models: tuple[Model, ...], *, without_backbone: bool) -> None:
    """Raises `Malformed` for what cannot be offered: a name twice, a place that is no service and no allowed URL."""
    if len({model.name for model in models}) != len(models):
        raise Malformed("ai.models.twice", "two models have one name")
    for model in models:
        if len({place.name for place in model.deployments}) != len(model.deployments):
            raise Malformed("ai.models.twice", f"two deployments of {model.name} have one name")
        for place in model.deployments:
            if bool(place.service) == bool(place.url):
                raise Malformed("ai.models.place", f"{place.name} has either a service or a url")
            if place.url and not without_backbone:
                raise Malformed(
                    "ai.models.backbone",
                    f"{place.name} would be called past the backbone: no record, no right; name its service,"
                    " or set without_backbone to try things out",
                )
            if place.service:
                ServiceId.parse(place.service)
