"""Everything that a run is: one frozen configuration, saved as ``run.yaml`` beside its results."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from allaprima.core.config import Choice, Config, Plannable, named
from allaprima.core.errors import UserError
from allaprima.data.augment import AUGMENT
from allaprima.domains import Shape
from allaprima.evaluation.features import FEATURES
from allaprima.evaluation.validation import Watched
from allaprima.methods import METHODS
from allaprima.models import conditions
from allaprima.models.text_encoders import TEXT_ENCODERS

Auto = Literal["auto"]


def _conditions(text: str) -> str:
    return "auto" if text.strip() == "auto" else ",".join(conditions.parse(text)) or "none"


class BudgetConfig(Config):
    """One of the two is set: wall-clock ``minutes``, or ``images`` shown to the nets."""

    minutes: float | None = Field(None, gt=0, le=1_000_000)
    images: int | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _one_of_two(self) -> BudgetConfig:
        if (self.minutes is None) == (self.images is None):
            raise UserError("A budget is either minutes or images", "give --minutes 10 or --images 400k")
        return self


class TrainingConfig(Plannable):
    """How the loop runs. Counts are images, so that a batch size changes no other setting's meaning.

    ``accumulate``: parts that a batch is learned in, one after another, where memory is short; the gradient is that of the
    whole batch, except for what is taken over a batch (batch normalisation, the best σ of a VAE), which is then a part's;
    and a part with less than one sample for the gradient penalty takes one.

    Optimiser: ``lr`` goes to ``lr_end`` × ``lr`` over the run by ``schedule``, after a warm-up over ``warm_up_images``;
    ``settling`` holds it for the first 200,000 images and three fifths of the run (core.schedules);
    ``beta1`` is SGD's momentum too, ``beta2`` RMSprop's smoothing; ``clip`` is the largest norm of a phase's gradient.
    ``auto`` takes what the method recommends, or what the planner finds for the budget (``training.planner``): the latter
    chooses ``batch_size``, ``warm_up_images``, ``ticks`` and ``checkpoint_seconds`` unless they are given.

    ``augment`` changes the training pictures themselves (flip, rotation, scaling); ``mirror`` ``auto`` adds ``flip`` when
    mirrored pictures look like the others. ``ema_half_life``: of the moving average of weights, a share of the images seen.
    ``ticks``: how many times a run is validated, sampled and checkpointed. ``watch``: the figure on the validation split that
    says which moment is kept; ``features``: what it sees of pictures. ``patience``: validated ticks without a better one
    after which the run stops early; 0 never does. ``validation_samples``: how many are painted for it; with ``auto`` all that
    takes at most a twentieth of a budget in minutes, and ticks are passed over if need be. Between ticks a checkpoint is
    written every ``checkpoint_seconds``. ``compile``: of the nets that paint and encode; ``auto`` does not, see ``LOG.md``.
    ``cuda_graphs``: on one GPU, with Adam or AdamW and batches of one part, a step is recorded once and played back; elsewhere
    this means nothing.
    """

    planned: ClassVar = ("batch_size", "warm_up_images", "ticks", "checkpoint_seconds")

    batch_size: int = Field(64, ge=1)
    accumulate: int = Field(1, ge=1)
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    lr: Annotated[float, Field(gt=0)] | Auto = "auto"
    lr_end: Annotated[float, Field(ge=0)] | Auto = "auto"
    schedule: Literal["auto", "cosine", "linear", "constant", "settling"] = "auto"
    warm_up_images: int = Field(4_000, ge=0)
    beta1: Annotated[float, Field(ge=0, lt=1)] | Auto = "auto"
    beta2: Annotated[float, Field(ge=0, lt=1)] | Auto = "auto"
    weight_decay: float = Field(0.0, ge=0)
    clip: float | None = Field(None, gt=0)
    augment: list[Annotated[str, named(AUGMENT)]] = []
    mirror: Literal["auto", "on", "off"] = "auto"
    ema_half_life: Annotated[float, Field(gt=0)] | Auto = "auto"
    ticks: int = Field(10, ge=1)
    patience: int = Field(0, ge=0)
    watch: Watched = "kernel_distance"
    validation_samples: Annotated[int, Field(ge=16)] | Auto = "auto"
    features: Annotated[str, named(FEATURES)] = "domain"
    checkpoint_seconds: float = Field(120, gt=0)
    keep_checkpoints: int = Field(2, ge=2)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int | None = Field(None, ge=1)
    compile: Literal["auto", "on", "off"] = "auto"
    cuda_graphs: bool = True


RECOMMENDED: dict[str, Any] = {
    "lr": 1e-3,
    "lr_end": 0.1,
    "schedule": "cosine",
    "beta1": 0.9,
    "beta2": 0.999,
    "ema_half_life": 0.03,
}  # where a method says nothing


class ConditioningConfig(Config):
    """``text_encoder``: what makes numbers of texts. ``attributes``: which columns, by default all that suit.

    ``drop``: how often each text, sound or attribute, and a class among others, is left out in training, so that it may be
    left out of a request.
    """

    text_encoder: Annotated[Any, Choice(TEXT_ENCODERS)] = "words"
    attributes: list[str] = []
    drop: float = Field(0.1, ge=0, lt=1)


class RunConfig(Config):
    """A whole run. ``condition``: ``none``, or one or several of ``label`` (or ``class``), ``text``, ``sound`` and
    ``attributes``, with commas; ``auto`` is ``label`` for a dataset with two classes or more, else ``none``.
    """

    method: Annotated[Any, Choice(METHODS)] = "gan"
    condition: Annotated[str, AfterValidator(_conditions)] = "auto"
    conditioning: ConditioningConfig = ConditioningConfig()
    training: TrainingConfig = TrainingConfig()
    budget: BudgetConfig = BudgetConfig(minutes=10)
    seed: int = 0

    def with_recommended(self, shape: Shape | None = None) -> RunConfig:
        """Every ``auto`` of the optimiser and the average replaced by the method's recommendation, for ``shape`` if given."""
        recommended = RECOMMENDED | getattr(self.method, "recommended", {})
        if shape is not None and hasattr(self.method, "recommended_for"):
            recommended |= self.method.recommended_for(shape)
        if self.training.lr_end != "auto":
            # who says where the step is to end means it at any length
            recommended["schedule"] = RECOMMENDED["schedule"]
        chosen = {key: value for key, value in recommended.items() if getattr(self.training, key) == "auto"}
        return self.model_copy(update={"training": self.training.model_copy(update=chosen)})
