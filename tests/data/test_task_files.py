import pytest

from data import task_files
from data.errors import UserError
from pipeline.presets import names, of_file, preset

TICKETS = """
kind = "classification"
classes = ["billing", "delivery", "other"]
base = "imdb"
source = "tickets.csv"

[reading]
text = "body"
label = "queue"
columns = ["language"]
aliases = { shipping = "delivery" }
split = { by = "group", column = "customer", eval = 0.2 }

[checks]
lowest_mean_words = 5

[evaluation]
slices = ["language"]

[presets.quick]
training = { steps = 700 }
evaluation = { min_accuracy = 0.6 }

[presets.mine]
like = "quick"
model = { d_model = 96 }
"""


@pytest.fixture
def folder(tmp_path):
    """A folder `tasks` with the task `tickets`."""
    (tmp_path / "tickets").mkdir()
    (tmp_path / "tickets" / "task.toml").write_text(TICKETS)
    (tmp_path / "tickets" / "schema.pbtxt").write_text('feature { name: "text" type: BYTES }\n')
    return tmp_path


def test_the_built_in_tasks_are_found_without_a_folder():
    assert list(task_files.built_in_tasks()) == ["bible", "imdb"]
    assert task_files.find("imdb").task.classes == ("negative", "positive")


def test_a_task_of_ones_own_is_read(folder):
    file = task_files.find("tickets", folder)
    assert file.task.classes == ("billing", "delivery", "other")
    assert file.reading.split.column == "customer"
    assert file.reading.aliases == {"shipping": "delivery"}
    assert file.source == str(folder / "tickets" / "tickets.csv")
    assert file.schema.startswith("feature")


def test_its_presets_change_those_of_the_task_that_it_is_based_on(folder):
    file = task_files.find("tickets", folder)
    assert names(file) == ("quick", "full", "best", "smoke", "mine")
    quick, imdb = of_file(file, "quick"), preset("imdb", "quick")
    assert quick.training.steps == 700
    assert quick.training.label_smoothing == imdb.training.label_smoothing
    assert quick.evaluation.min_accuracy == 0.6
    assert quick.evaluation.slices == ("language",)
    assert quick.evaluation.tolerance == imdb.evaluation.tolerance
    assert quick.checks.lowest_mean_words == 5
    assert not quick.checks.word_rates  # those of film reviews
    mine = of_file(file, "mine")
    assert (mine.model.d_model, mine.training.steps) == (96, 700)
    assert mine.model.pooled_dropout == imdb.model.pooled_dropout


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "classification"', 'kind = "regression"',
         r"task\.toml: kind: expected 'classification' or 'next-token', got 'regression'"),
        ('kind = "classification"', "", r"task\.toml: kind: missing"),
        ('kind = "classification"', "kind = ", r"task\.toml: cannot be read: .*line 2"),
        ('"billing", "delivery", "other"', '"billing"',
         r"task\.toml: classes: expected two or more names, got \['billing'\]"),
        ('"other"', '"billing"', r"classes: expected different names, got 'billing' twice"),
        ('base = "imdb"', 'base = "koran"', r"task\.toml: base: expected one of bible, imdb"),
        ('text = "body"', 'texts = "body"', r"task\.toml: reading\.texts: there is no such key"),
        ('"delivery" }', '"parcels" }',
         r"reading\.aliases: expected one of billing, delivery, other for 'shipping'"),
        ('column = "customer", ', "", r"reading\.split\.column: expected the name of a column"),
        ("eval = 0.2", "eval = 1.0", r"reading\.split: expected shares of eval and test that"),
        ("eval = 0.2", "eval = 2", r"reading\.split\.eval: expected less than or equal to 1"),
        ("lowest_mean_words = 5", "lowest_mean_words = -1",
         r"checks\.lowest_mean_words: expected greater than or equal to 0, got -1"),
        ("steps = 700", 'steps = "many"',
         r"task\.toml: training\.steps: expected a valid integer.*, got 'many'"),
        ("steps = 700", "step = 700", r"task\.toml: training\.step: there is no such key"),
        ("min_accuracy = 0.6", "min_accuracy = 60", r"evaluation\.min_accuracy: expected less"),
        ('like = "quick"', 'like = "mine"', r"presets\.mine\.like: there is no other preset"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_key_and_expectation(folder, old, new, message):
    assert old in TICKETS
    (folder / "tickets" / "task.toml").write_text(TICKETS.replace(old, new))
    with pytest.raises(UserError, match=message):
        file = task_files.find("tickets", folder)
        for name in names(file):
            of_file(file, name)


def test_a_missing_schema_is_told(folder):
    (folder / "tickets" / "schema.pbtxt").unlink()
    with pytest.raises(UserError, match=r"tickets/schema\.pbtxt: no such file"):
        task_files.find("tickets", folder)


def test_an_unknown_task_is_told_with_those_that_there_are(folder):
    with pytest.raises(UserError, match=r"^mails: .* one of bible, imdb, tickets or, in "):
        task_files.find("mails", folder)


def test_the_name_of_a_built_in_task_is_refused(folder):
    (folder / "tickets").rename(folder / "imdb")
    with pytest.raises(UserError, match=r"imdb: imdb is a built-in task; rename the folder"):
        task_files.find("bible", folder)


def test_a_name_that_is_no_name_is_refused(folder):
    (folder / "tickets").rename(folder / "My Tickets")
    with pytest.raises(UserError, match=r"My Tickets: the folder's name: "):
        task_files.find("My Tickets", folder)
