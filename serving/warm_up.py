"""Warm-up: a version answers the requests that it brings along before it is served.

They lie in assets.extra/tf_serving_warmup_requests, as TensorFlow Serving reads them: a
TFRecord of at most 1,000 PredictionLogs. A request that fails fails the load.
"""

from __future__ import annotations

import os

import grpc
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.errors import ServingError, invalid_argument
from serving.inference import classify, predict
from serving.served_model import ServedModel

REQUESTS = "assets.extra/tf_serving_warmup_requests"
MOST_REQUESTS = 1000


def warm_up(model: ServedModel) -> int:
    """Answers the version's warm-up requests, and returns how many there were.

    Raises:
        ServingError: of the request that failed, or for more than MOST_REQUESTS.
        tf.errors.DataLossError: if the file is no TFRecord.
    """
    path = os.path.join(model.folder, REQUESTS)
    if not tf.io.gfile.exists(path):
        return 0
    count = 0
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
        count += 1
        if count > MOST_REQUESTS:
            raise invalid_argument(
                f"Number of warmup records exceeds the maximum ({MOST_REQUESTS}) at {path}"
            )
        log = prediction_log_pb2.PredictionLog.FromString(record)
        kind = log.WhichOneof("log_type")
        if kind == "predict_log":
            predict(model, log.predict_log.request)
        elif kind == "classify_log":
            classify(model, log.classify_log.request)
        else:
            raise ServingError(
                grpc.StatusCode.UNIMPLEMENTED, f"{path}: warm-up by {kind} is not implemented"
            )
    return count
