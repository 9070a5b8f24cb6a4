"""Settings as frozen pydantic models; a run is one of them, saved as YAML beside its results.

A component's module has a ``Config(Component)`` with a ``build(...)`` method; ``Choice`` makes a field that holds
one component of a room, chosen by name: ``generator: Annotated[Component, Choice(GENERATORS)]``.

Use: ``config = load(RunConfig, base, ["training.lr=1e-4", "method.generator=dcgan"])``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError, suggest


class Config(BaseModel):
    """Base of all settings: frozen, unknown keys refused, defaults checked too."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class Plannable(Config):
    """Settings of which some, named in ``planned``, are ``auto`` unless they are given, until a planner fills them in.

    Only the planner knows the word: for whoever reads such a setting before, it has its default.
    """

    planned: ClassVar[tuple[str, ...]] = ()

    @property
    def left_open(self) -> tuple[str, ...]:
        """The settings that nobody has chosen. ``model_copy(update=...)`` chooses them."""
        return tuple(key for key in self.planned if key not in self.model_fields_set)

    @model_validator(mode="before")
    @classmethod
    def _without_auto(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        return {key: value for key, value in values.items() if not (key in cls.planned and value == "auto")}

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        left_open = self.left_open
        return self._heading() | {key: "auto" if key in left_open else value for key, value in handler(self).items()}

    def _heading(self) -> dict[str, Any]:
        """What is written before the settings."""
        return {}


class Component(Plannable):
    """Settings of one catalogue entry. Its name is its file's name and is written out with it."""

    @classmethod
    def component_name(cls) -> str:
        return cls.__module__.rpartition(".")[2]

    @model_validator(mode="before")
    @classmethod
    def _without_name(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("name") == cls.component_name():
            return {key: value for key, value in values.items() if key != "name"}
        return values

    def _heading(self) -> dict[str, Any]:
        return {"name": self.component_name()}


class Choice:
    """Annotation of a field that holds one component of a catalogue.

    It reads ``"dcgan"``, ``{"name": "dcgan", "width": 32}`` or a ready Config of that room.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def resolve(self, value: Any) -> Component:
        if isinstance(value, Component):
            return value
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping) or "name" not in value:
            raise UserError(f"A {self.catalog.kind} needs a name, not {value!r}", suggest("", self.catalog.names()))
        settings = {key: setting for key, setting in value.items() if key != "name"}
        found: type[Component] = self.catalog.get(str(value["name"])).Config
        return validate(found, settings)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.resolve,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda chosen: chosen.model_dump(mode="json")
            ),
        )


C = TypeVar("C", bound=Config)


def validate(model: type[C], values: Mapping[str, Any]) -> C:
    """The settings as a checked ``model``. Raises UserError that names the key, the reason and the nearest key."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(_keys(first["loc"]))
        if first["type"] == "extra_forbidden":
            owner, key = _owner(model, first["loc"])
            raise UserError(f"Unknown setting '{where}'", suggest(key, owner.model_fields)) from None
        raise UserError(
            f"Setting '{where}' cannot be {first.get('input')!r}: {first['msg'].lower().removeprefix('value error, ')}",
            "change the value, or leave it out to use the default",
        ) from None


def _keys(path: tuple[Any, ...]) -> list[str]:
    """The settings' own names in pydantic's path, which also tells places in lists and branches of unions."""
    kinds = {"int", "float", "str", "bool"}
    return [part for part in path if isinstance(part, str) and part.isidentifier() and part not in kinds]


def _owner(model: type[BaseModel], path: tuple[Any, ...]) -> tuple[type[BaseModel], str]:
    """The model that refused the last key of ``path``, and that key."""
    for part in path[:-1]:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return model, str(path[-1])


def load(model: type[C], base: Mapping[str, Any], changes: Iterable[str] = ()) -> C:
    """``base`` with ``key.path=value`` changes applied in order, checked. ``base`` is left as it is.

    A component may be named alone (``method.generator=dcgan``), which puts its settings back to their defaults.
    """
    config = validate(model, base)
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals or not path.strip():
            raise UserError(f"'{change}' is not a setting", "write it as key=value, for example training.lr=1e-4")
        # one change after the other on the whole configuration: a component named by the first has its defaults by the next
        values = config.model_dump(mode="json")
        _put(values, path.strip().split("."), parse_value(text))
        config = validate(model, values)
    return config


def parse_value(text: str) -> Any:
    """A value as a person types it: YAML, except that ``1e-4`` is a number too and ``on`` and ``off`` are words."""
    word = text.strip()
    if re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", word):
        return float(word)
    if word.lower() in ("on", "off", "yes", "no"):
        return word
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _put(values: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        inner = values.get(key)
        values[key] = inner = inner if isinstance(inner, dict) else {}
        values = inner
    old = values.get(path[-1])
    if isinstance(old, dict) and "name" in old and isinstance(value, str):
        value = {"name": value}
    if path[-1] == "name" and values.get("name") != value:
        values.clear()  # another component has other settings
    values[path[-1]] = value


def to_yaml(config: Config) -> str:
    """The whole configuration, defaults included, as YAML that ``load`` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What a piece of work that was begun with the settings ``then`` has otherwise ``now``: ``budget.minutes was 10, now 5``."""
    old, new = (dict(_flat(one)) for one in (then, now))
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    if "dataset_fingerprint" in keys:
        return ["it was begun on other pictures"]
    return [f"{key.removeprefix('config.')} was {old.get(key)}, now {new.get(key)}" for key in sorted(keys)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def named(catalog: Catalog) -> Any:
    """Annotation of a text field that must be a name of the catalogue: ``loss: Annotated[str, named(ADVERSARIAL)]``."""

    def known(name: str) -> str:
        if name not in catalog.names():
            raise UserError(f"Unknown {catalog.kind} '{name}'", suggest(name, catalog.names()))
        return name

    return AfterValidator(known)
