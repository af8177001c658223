import dataclasses
import json

import pytest

from data import task_files
from data.errors import UserError
from pipeline.pushed_models import owner

IMDB = task_files.find("imdb").task


@pytest.fixture
def serving_models(tmp_path):
    """With one version that the task imdb pushed."""
    extra = tmp_path / "imdb" / "7" / "assets.extra"
    extra.mkdir(parents=True)
    (tmp_path / "imdb" / "7" / "saved_model.pb").touch()
    card = {"task": IMDB.name, "kind": IMDB.kind, "classes": IMDB.classes}
    (extra / "model_card.json").write_text(json.dumps(card))
    return tmp_path


def test_a_task_goes_on_with_its_own_models(serving_models):
    owner.check(serving_models, IMDB)
    owner.check(serving_models, task_files.find("bible").task)  # has none yet


@pytest.mark.parametrize(
    "change",
    [{"kind": "next-token", "classes": ()}, {"classes": ("positive", "negative")}],
    ids=["kind", "classes"],
)
def test_another_task_of_the_same_name_is_refused(serving_models, change):
    with pytest.raises(UserError, match=r"imdb: holds models of another task, .*rename the task"):
        owner.check(serving_models, dataclasses.replace(IMDB, **change))
