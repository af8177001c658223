"""What sets one task apart from another; all stages are shared.

A new task on other text is one entry here, a reader in data/ and a schema in
data/schema/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data import normal_form
from data.normal_form import NormalForm
from pipeline import features


@dataclass(frozen=True)
class About:
    """What the model card of a task says that no figure does."""

    title: str
    description: str
    licence: str
    intended_use: tuple[str, ...]
    not_intended_use: tuple[str, ...]
    weaknesses: tuple[str, ...]
    example: str  # a request by REST


@dataclass(frozen=True)
class Task:
    """A corpus and what is learned from it."""

    name: str
    reader: str  # module with open_source, read_shard and check_corpus, as data/imdb.py
    schema: str  # file in data/schema/
    normal_form: NormalForm
    head: Literal["next_token", "sentiment"]
    label: str | None  # feature that the head predicts; None: the text itself
    slices: tuple[str, ...]  # features by which evaluation slices
    about: About


# What a head's export must have: signatures, each with inputs that it must take.
SIGNATURES: dict[str, dict[str, tuple[str, ...]]] = {
    "sentiment": {
        "serving_default": ("text",),
        "serving_examples": ("examples",),
        "classify": ("inputs",),
        "embed": ("text",),
    },
    "next_token": {
        "serving_default": (
            "text",
            "max_new_tokens",
            "temperature",
            "top_k",
            "top_p",
            "repetition_penalty",
            "seed",
        ),
        "score": ("text",),
        "score_examples": ("examples",),
        "score_stream": ("text", "ends_line", "last_token", "conv", "ssm"),
        "embed": ("text",),
    },
}
TASKS = {
    task.name: task
    for task in (
        Task(
            name="bible",
            reader="data.bible",
            schema="bible.pbtxt",
            normal_form=normal_form.BIBLE,
            head="next_token",
            label=None,
            slices=(features.TESTAMENT, features.BOOK),
            about=About(
                title="A Mamba language model of the King James Bible",
                description="It predicts the next token of a text: it continues a prompt, and"
                " counts the bits that a text takes.",
                licence="the text is in the public domain (in the United Kingdom under Crown"
                " patent); the package that carries it is under the MIT licence",
                intended_use=(
                    "teaching and studying state-space models on a text that all can read",
                    "telling how near a text is to the language of the King James Bible",
                ),
                not_intended_use=(
                    "quoting Scripture: what it writes is no verse, however much it sounds so",
                    "answering questions, or as advice of any kind",
                    "text in another language or another English",
                ),
                weaknesses=(
                    "it has read one book of 4.3 million characters, and knows nothing else",
                    "it repeats turns of phrase, and loses the thread within a few sentences",
                    "`eval` has chapters of the same books as `train`: another book does worse",
                ),
                example='curl -d \'{"instances": [{"text": "And the LORD said unto Moses,"}]}\''
                " http://localhost:8501/v1/models/bible:predict",
            ),
        ),
        Task(
            name="imdb",
            reader="data.imdb",
            schema="imdb.pbtxt",
            normal_form=normal_form.IMDB,
            head="sentiment",
            label=features.LABEL,
            slices=(features.LENGTH_BUCKET,),
            about=About(
                title="A Mamba classifier of film reviews",
                description="It tells whether an English film review is positive or negative.",
                licence="the collectors of the reviews (Maas et al. 2011) name no licence and ask"
                " that the paper be cited; the package that carries them is under the MIT licence",
                intended_use=(
                    "the sentiment of whole film reviews in English",
                    "teaching and studying state-space models",
                ),
                not_intended_use=(
                    "decisions about people, or about what they may publish",
                    "text of other kinds or languages, single sentences, sarcasm",
                    "neutral texts: it knows positive and negative only",
                ),
                weaknesses=(
                    "reviews were chosen for strong verdicts (of 10 stars at most 4, or at least"
                    " 7), before 2011, from one site: others are harder",
                    "of the packaged reviews in `eval`, 31% share their film with one in `train`",
                    "names of films and actors carry sentiment for it",
                ),
                example='curl -d \'{"instances": [{"text": "A moving film."}]}\''
                " http://localhost:8501/v1/models/imdb:predict",
            ),
        ),
    )
}
