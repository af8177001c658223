import json
import math

from data import plain_json


def test_numbers_that_are_not_finite_are_null_wherever_they_are():
    value = {"auc": math.nan, "sizes": [1.5, -math.inf, (math.inf, 2)], "name": "NaN", "n": None}
    assert json.loads(plain_json.dumps(value)) == {
        "auc": None, "sizes": [1.5, None, [None, 2]], "name": "NaN", "n": None
    }  # fmt: skip
