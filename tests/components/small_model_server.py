"""A fake of TensorFlow Serving's binary, by its stubs, for tests without the binary.

    small_model_server.py --port=P --rest_api_port=P --model_name=N --model_base_path=FOLDER

With WRONG_ANSWERS in the environment, scores are a hundredth too high.
"""

import argparse
import os
from concurrent import futures

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)


def main():
    parser = argparse.ArgumentParser()
    for flag in ("port", "rest_api_port", "model_name", "model_base_path"):
        parser.add_argument(f"--{flag}", required=True)
    options = parser.parse_args()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    loaded = tf.saved_model.load(os.path.join(options.model_base_path, "1"))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _Predictions(loaded), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Status(), server)
    server.add_insecure_port(f"localhost:{options.port}")
    server.start()
    server.wait_for_termination()


class _Status(model_service_pb2_grpc.ModelServiceServicer):
    def GetModelStatus(self, request, context):
        response = get_model_status_pb2.GetModelStatusResponse()
        response.model_version_status.add(
            version=1, state=get_model_status_pb2.ModelVersionStatus.AVAILABLE
        )
        return response


class _Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, loaded):
        self._loaded = loaded

    def _outputs(self, spec, inputs):
        outputs = self._loaded.signatures[spec.signature_name](**inputs)
        if "WRONG_ANSWERS" in os.environ:
            outputs["scores"] += 0.01
        return outputs

    def Predict(self, request, context):
        inputs = {name: tf.constant(tf.make_ndarray(v)) for name, v in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, value in self._outputs(request.model_spec, inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response

    def Classify(self, request, context):
        examples = [e.SerializeToString() for e in request.input.example_list.examples]
        outputs = self._outputs(request.model_spec, {"inputs": tf.constant(examples)})
        response = classification_pb2.ClassificationResponse()
        for labels, scores in zip(
            outputs["classes"].numpy(), outputs["scores"].numpy(), strict=True
        ):
            row = response.result.classifications.add()
            for label, score in zip(labels, scores, strict=True):
                row.classes.add(label=label, score=score)
        return response


if __name__ == "__main__":
    main()
