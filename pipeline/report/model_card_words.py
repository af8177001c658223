"""The model card's words on each task.

They are not in data/tasks.py, as a change of that module makes trainings run again.
"""

from __future__ import annotations

from typing import Any


def about(task: str) -> dict[str, Any]:
    """The words on a task, or placeholders for a task that has none here.

    Texts by name, and tuples of texts; `example` is a REST request.
    """
    unknown = ("not written down yet: see pipeline/report/model_card_words.py",)
    return _ABOUT.get(task) or {
        "title": f"A Mamba model: {task}",
        "description": "Trained by the pipeline of tf_mamba.",
        "licence": unknown[0],
        "intended_use": unknown,
        "not_intended_use": unknown,
        "weaknesses": unknown,
        "example": f'curl -d \'{{"instances": [{{"text": "..."}}]}}\''
        f" http://localhost:8501/v1/models/{task}:predict",
    }


_ABOUT: dict[str, dict[str, Any]] = {
    "bible": {
        "title": "A Mamba language model of the King James Bible",
        "description": "It predicts the next token of a text: it continues a prompt, and"
        " counts the bits that a text takes.",
        "licence": "the text is in the public domain (in the United Kingdom under Crown"
        " patent); the package that carries it is under the MIT licence",
        "intended_use": (
            "teaching and studying state-space models on a text that all can read",
            "measuring how close a text is to the language of the King James Bible",
        ),
        "not_intended_use": (
            "quoting Scripture: what it writes is not a verse, even if it sounds like one",
            "answering questions, or giving advice of any kind",
            "text in another language, or in other English",
        ),
        "weaknesses": (
            "it was trained on one book of 4.3 million characters, and knows nothing else",
            "it repeats phrases, and loses the thread within a few sentences",
            "`eval` has chapters of the same books as `train`: on another book it does worse",
        ),
        "example": 'curl -d \'{"instances": [{"text": "And the LORD said unto Moses,"}]}\''
        " http://localhost:8501/v1/models/bible:predict",
    },
    "imdb": {
        "title": "A Mamba classifier of film reviews",
        "description": "It tells whether an English film review is positive or negative.",
        "licence": "the collectors of the reviews (Maas et al. 2011) name no licence and ask"
        " that the paper be cited; the package that carries them is under the MIT licence",
        "intended_use": (
            "the sentiment of whole film reviews in English",
            "teaching and studying state-space models",
        ),
        "not_intended_use": (
            "decisions about people, or about what they may publish",
            "text of other kinds or languages, single sentences, sarcasm",
            "neutral texts: it knows only positive and negative",
        ),
        "weaknesses": (
            "it was trained on reviews from one site, from before 2011, with strong verdicts (at"
            " most 4 or at least 7 of 10 stars): others are harder",
            "31% of the packaged reviews in `eval` are about a film that is also in `train`",
            "names of films and actors carry sentiment for it",
        ),
        "example": 'curl -d \'{"instances": [{"text": "A moving film."}]}\''
        " http://localhost:8501/v1/models/imdb:predict",
    },
}
