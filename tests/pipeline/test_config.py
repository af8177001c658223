import pytest

from data.errors import UserError
from pipeline.presets import preset


@pytest.mark.parametrize("task", ["bible", "imdb"])
@pytest.mark.parametrize("name", ["quick", "full", "best", "smoke"])
def test_each_task_has_each_preset(task, name):
    config = preset(task, name)
    assert (config.task.name, config.preset) == (task, name)


def test_texts_that_transform_leaves_fit_the_longest_bucket():
    for name in ("quick", "full", "best", "smoke"):
        config = preset("imdb", name)
        assert config.transform.head + config.transform.tail == config.training.buckets[-1][0]


def test_unknown_task_and_preset_are_named_with_the_known_ones():
    with pytest.raises(
        UserError, match="koran: there is no such task; expected one of bible, imdb;"
    ):
        preset("koran", "quick")
    with pytest.raises(UserError, match="expected one of quick, full, best, smoke, got 'huge'"):
        preset("bible", "huge")
