"""The light encoder: the captions' own words, embedded, put in order and weighed by a small net that learns with the generator.

It knows the words of its training captions and nothing else. A word that it does not know is taken for the known one that is
spelled most like it, or passed over.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from allaprima.core.config import Component
from allaprima.models.blocks import as_embedded, scale_init

MOST_CHARACTERS = 2_000  # of a text; what follows is not read
FEWEST_OF_A_WORD = 2  # captions: a word that occurs once cannot be told from the rest of its picture
ALIKE = 0.7  # of difflib's ratio: "birds" and "brid" are birds, "rad" is not red
LONGEST_WORD = 40  # letters of a word that may be misspelled
EMBEDDED = 64
MOST_THINNED = 0.6

# scripts that put no spaces between words come apart into letters: kana and Han
ALONE = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
VARIATIONS = range(0xFE00, 0xFE10)  # how an emoji looks


class Config(Component):
    """``words``: the vocabulary, most frequent first; at most ``most_words``. ``longest``: words of a text that are read.

    ``thinning``: the largest share of a text's words that is left out of it in a step of training, see ``thinned``; ``auto``
    takes the more, the more pictures have a text that no other has.
    """

    words: list[str] = Field(default=[], max_length=65_536)
    most_words: int = Field(4096, ge=1, le=65_536)
    longest: int = Field(24, ge=1, le=256)
    thinning: Annotated[float, Field(ge=0, lt=1)] | Literal["auto"] = "auto"

    @property
    def size(self) -> int:
        """Columns of an encoded text: the numbers of its words from 1 on, then zeros."""
        return self.longest

    @property
    def identity(self) -> str:
        """The Config tells everything."""
        return ""

    def fitted(self, captions: Sequence[str | None]) -> Config:
        """With the words that at least two captions have; of few captions, with all."""
        counts = Counter(word for caption in captions if caption for word in set(words_of(caption)))
        least = FEWEST_OF_A_WORD if any(count > 1 for count in counts.values()) else 1
        usual = sorted(
            (word for word, count in counts.items() if count >= least), key=lambda word: (-counts[word], word)
        )
        update: dict[str, Any] = {"words": usual[: self.most_words]}
        if self.thinning == "auto":
            texts = Counter(caption for caption in captions if caption)
            alone = sum(count == 1 for count in texts.values()) / max(1, texts.total())
            update["thinning"] = round(MOST_THINNED * alone, 2)
        return self.model_copy(update=update)

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """Numbers of words as float32 ``[N, longest]``, exact. A text without any known word is the unknown word, once."""
        rows = torch.zeros(len(texts), self.longest)
        for row, text in zip(rows, texts, strict=True):
            found = self._numbers(text) or [len(self.words) + 1]
            row[: len(found)] = torch.tensor(found, dtype=torch.float32)
        return rows

    def _numbers(self, text: str) -> list[int]:
        places = _places(tuple(self.words))
        found, guesses = [], 0
        for word in words_of(text):
            number = places.get(word)
            if number is None and guesses < self.longest:  # each looks through the whole vocabulary
                number, guesses = _nearest(tuple(self.words), word), guesses + 1
            if number:
                found.append(number)
            if len(found) == self.longest:
                break
        return found

    def thinned(self, rows: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Encoded texts with some of their words left out, of each text another share, at most ``thinning``.

        Where each picture has a text of its own, a generator learns to paint that one picture for it, whatever the noise; of a
        text that says less there are several.
        """
        most = 0.0 if self.thinning == "auto" else self.thinning  # nobody has said what captions there are
        kept = rows.masked_fill(draws[:, 1:] < draws[:, :1] * most, 0)
        # a text that has lost all its words keeps them: nothing at all means something else
        kept = torch.where(kept.any(1, keepdim=True), kept, rows)
        # what is left moves up
        return kept.gather(1, (kept == 0).to(torch.int8).argsort(dim=1, stable=True))

    def build(self, width: int) -> nn.Module:
        return Reader(len(self.words) + 2, self.longest, width)


def words_of(text: str) -> list[str]:
    """A text's words, in lower case and in Unicode's compatible form (NFKC)."""
    return _word().findall(unicodedata.normalize("NFKC", text[:MOST_CHARACTERS]).casefold())


@lru_cache(maxsize=1)
def _word() -> re.Pattern[str]:
    """A letter that stands alone, or a run of letters and digits with their marks, which \\w lacks (Indic scripts, Thai, …)."""
    codes = (code for code in range(0x300, 0xFE30) if code not in VARIATIONS)
    marks = "".join(chr(code) for code in codes if unicodedata.category(chr(code)) in ("Mn", "Mc"))
    return re.compile(f"[{ALONE}]|(?:(?![{ALONE}])[^\\W_][{marks}]*)+")


@lru_cache(maxsize=8)
def _places(words: tuple[str, ...]) -> dict[str, int]:
    return {word: number for number, word in enumerate(words, 1)}


@lru_cache(maxsize=4096)
def _nearest(words: tuple[str, ...], word: str) -> int:
    """The number of the word that is spelled most like ``word``, 0 if none is."""
    found = difflib.get_close_matches(word, words, 1, ALIKE) if len(word) <= LONGEST_WORD else []
    return _places(words)[found[0]] if found else 0


class Reader(nn.Module):
    """float32 ``[N, longest]`` of numbers → float32 ``[N, width]`` of length √width.

    Each word sees its neighbours (a convolution over three), and all weigh in by an attention that one query has over them
    (Yang et al. 2016, "Hierarchical attention networks", equations 5 to 7).
    """

    def __init__(self, words: int, longest: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(words, EMBEDDED)
        self.neighbours = nn.Conv1d(EMBEDDED, EMBEDDED, 3, padding=1)
        self.weight = nn.Linear(EMBEDDED, 1)
        self.first, self.second = nn.Linear(2 * EMBEDDED, 2 * width), nn.Linear(2 * width, width)
        for layer in (self.neighbours, self.first, self.second):
            scale_init(layer)

    def forward(self, prepared: torch.Tensor) -> torch.Tensor:
        numbers = prepared.long()
        there = (numbers > 0).float()[..., None]
        alone = self.table(numbers) * there
        near = F.leaky_relu(self.neighbours(alone.mT).mT, 0.2) * there
        # a softmax over what is there; nothing at all weighs nothing
        weights = self.weight(near).float().clamp(-10, 10).exp() * there
        share = weights / weights.sum(1, keepdim=True).clamp_min(1e-6)
        together = torch.cat([(alone * there).sum(1) / there.sum(1).clamp_min(1).sqrt(), (near * share).sum(1)], dim=1)
        y = self.second(F.leaky_relu(self.first(together), 0.2))
        return as_embedded(y)
