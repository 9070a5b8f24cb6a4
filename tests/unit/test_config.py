"""Settings: typed by a person, refused with the nearest valid name, written and read back the same."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from allaprima.core.config import Choice, Config, load, named, parse_value, to_yaml, validate
from allaprima.core.errors import UserError
from allaprima.losses.adversarial import ADVERSARIAL
from allaprima.models.generators import GENERATORS


class Inner(Config):
    """Two plain settings."""

    lr: float = Field(1e-3, gt=0)
    kind: Literal["adam", "sgd"] = "adam"


class Outer(Config):
    """One of each kind of setting."""

    inner: Inner = Inner()
    generator: Annotated[Any, Choice(GENERATORS)] = "residual"
    loss: Annotated[str, named(ADVERSARIAL)] = "hinge"
    names: list[str] = Field(default=[])
    note: str | None = None
    seed: int = 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-4", 1e-4),
        ("-2E3", -2000.0),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ("flip", "flip"),
        ("[flip, colour]", ["flip", "colour"]),
        ("", None),
        ("{a: 1}", {"a": 1}),
        ("a: b: c", "a: b: c"),
    ],
)
def test_a_value_is_read_as_a_person_means_it(text: str, value: object) -> None:
    assert parse_value(text) == value


@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.text(alphabet="abcxyz", min_size=4)))
def test_what_yaml_writes_is_read_back(value: object) -> None:
    read = parse_value(yaml.safe_dump(value).removesuffix("...\n"))
    assert read == value


@given(st.text())
def test_no_text_makes_the_reader_of_values_fail(text: str) -> None:
    parse_value(text)


def test_changes_reach_nested_settings_and_leave_the_base_alone() -> None:
    base = {"inner": {"lr": 0.5}}
    config = load(Outer, base, ["inner.lr=1e-4", "inner.kind=sgd", "names=[a, b]", "seed=7"])
    assert (config.inner.lr, config.inner.kind, config.names, config.seed) == (1e-4, "sgd", ["a", "b"], 7)
    assert base == {"inner": {"lr": 0.5}}


def test_the_last_of_two_changes_wins() -> None:
    assert load(Outer, {}, ["seed=1", "seed=2"]).seed == 2


def test_a_component_is_chosen_by_name_alone_or_with_settings() -> None:
    assert load(Outer, {}, ["generator=dcgan"]).generator.component_name() == "dcgan"
    chosen = load(Outer, {}, ["generator=dcgan", "generator.width=24"]).generator
    assert (chosen.component_name(), chosen.width) == ("dcgan", 24)
    named_with_dots = load(Outer, {}, ["generator.name=dcgan", "generator.width=24"]).generator
    assert named_with_dots == chosen


def test_a_component_named_anew_forgets_the_settings_of_the_one_before() -> None:
    config = load(Outer, {"generator": {"name": "residual", "depth": 2}}, ["generator=dcgan"])
    assert config.generator.component_name() == "dcgan"
    assert "depth" not in config.generator.model_dump()


def test_a_setting_of_the_default_component_is_changed_without_naming_it() -> None:
    config = load(Outer, {}, ["generator.width=24"])
    assert (config.generator.component_name(), config.generator.width) == ("residual", 24)


@pytest.mark.parametrize(
    ("change", "problem", "remedy"),
    [
        ("inner.lrr=1", "Unknown setting 'inner.lrr'", "did you mean 'lr'?"),
        ("sead=1", "Unknown setting 'sead'", "did you mean 'seed'?"),
        ("generator=dcgann", "Unknown generator 'dcgann'", "did you mean 'dcgan'?"),
        ("generator.widht=8", "widht", "did you mean 'width'?"),
        ("loss=hing", "Unknown adversarial loss 'hing'", "did you mean 'hinge'?"),
        ("inner.lr=-1", "inner.lr", "default"),
        ("inner.lr=fast", "inner.lr", "default"),
        ("inner.kind=adamm", "inner.kind", "default"),
        ("inner=3", "inner", "default"),
        ("generator=3", "generator", "dcgan"),
        ("seed", "'seed' is not a setting", "key=value"),
        ("=3", "'=3' is not a setting", "key=value"),
        ("seed.more=1", "seed", "default"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(change: str, problem: str, remedy: str) -> None:
    with pytest.raises(UserError) as caught:
        load(Outer, {}, [change])
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_the_whole_configuration_survives_yaml() -> None:
    config = load(Outer, {}, ["generator=dcgan", "generator.width=24", "inner.lr=3e-5", "note=naïve, ü"])
    text = to_yaml(config)
    assert "naïve" in text
    assert validate(Outer, yaml.safe_load(text)) == config


def test_a_component_in_a_field_of_its_own_type_survives_yaml() -> None:
    from allaprima.domains.image import Config as ImageConfig

    class Holder(Config):
        domain: ImageConfig = ImageConfig()

    config = Holder(domain=ImageConfig(height=24, width=16, channels=1))
    assert validate(Holder, yaml.safe_load(to_yaml(config))) == config
    with pytest.raises(UserError, match="name"):
        validate(Holder, {"domain": {"name": "another"}})


def test_settings_cannot_be_changed_after_they_were_checked() -> None:
    with pytest.raises(Exception, match="frozen"):
        Outer().seed = 3  # type: ignore[misc]
