import pytest

from pipeline.evaluation.verdict import judge

GOOD = {"metrics": {"eval": {}}, "blessed": True, "failed_thresholds": []}
BAD = GOOD | {"blessed": False, "failed_thresholds": ["accuracy 0.5, expected at least 0.8"]}
NOT_EVALUATED = {"metrics": None, "blessed": False, "failed_thresholds": []}
FIT = {"blessed": True, "findings": []}
UNFIT = {"blessed": False, "findings": ["a", "b", "c", "d", "e"]}


@pytest.mark.parametrize(
    ("evaluation", "infra_check", "infra_validator", "blessed"),
    [
        (GOOD, FIT, None, True),
        (GOOD, FIT, True, True),
        (GOOD, FIT, False, False),
        (GOOD, UNFIT, None, False),
        (BAD, FIT, True, False),
        (GOOD, None, None, None),
        (NOT_EVALUATED, FIT, None, None),
    ],
)
def test_every_stage_must_bless_the_model(evaluation, infra_check, infra_validator, blessed):
    assert judge(evaluation, infra_check, infra_validator).blessed is blessed


def test_findings_of_all_stages_are_listed_and_those_of_infra_check_may_be_cut():
    first, *checks, last = judge(BAD, UNFIT, False).findings
    assert first == "accuracy 0.5, expected at least 0.8"
    assert checks == [f"infra check: {finding}" for finding in "abcde"]
    assert last.startswith("infra validator: TensorFlow Serving in docker did not load it")
    assert judge(GOOD, UNFIT, None, most=3).findings == (
        "infra check: a", "infra check: b", "infra check: c", "infra check: 2 more findings",
    )  # fmt: skip
    assert judge(GOOD, UNFIT, None, most=5).findings[-1] == "infra check: e"
