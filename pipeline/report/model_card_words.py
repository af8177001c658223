"""What the model card of a task says that no figure does.

It stands apart from tasks.py, whose code is a part of what a training depends on.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class About:
    """The words of a model card."""

    title: str
    description: str
    licence: str
    intended_use: tuple[str, ...]
    not_intended_use: tuple[str, ...]
    weaknesses: tuple[str, ...]
    example: str  # a request by REST


def about(task: str) -> About:
    """The words on a task; of one that is not known here, that nothing is known."""
    unknown = ("not written down yet: see pipeline/report/model_card_words.py",)
    return _ABOUT.get(task) or About(
        title=f"A Mamba model: {task}",
        description="Trained by the pipeline of tf_mamba.",
        licence=unknown[0],
        intended_use=unknown,
        not_intended_use=unknown,
        weaknesses=unknown,
        example=f'curl -d \'{{"instances": [{{"text": "..."}}]}}\''
        f" http://localhost:8501/v1/models/{task}:predict",
    )


_ABOUT = {
    "bible": About(
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
    "imdb": About(
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
}
