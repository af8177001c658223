"""A model server for a folder of SavedModel versions, and a client.

The server speaks TensorFlow Serving's gRPC and REST protocols, so that clients written for
it work with TensorFlow Serving too. It knows SavedModels and nothing of training: it needs
tensorflow, tensorflow-text, tensorflow-serving-api, grpcio, aiohttp and prometheus-client.
"""
