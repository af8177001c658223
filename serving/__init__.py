"""A server of SavedModel versions, and a client.

The server speaks TensorFlow Serving's gRPC and REST protocols, so its clients work with TensorFlow
Serving too. It needs tensorflow, tensorflow-text, tensorflow-serving-api, grpcio,
grpcio-health-checking, aiohttp and prometheus-client, and nothing else of this project.
"""
