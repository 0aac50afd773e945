"""A model outside rung: as an ONNX graph, a scikit-learn script, an MLflow folder, or behind HTTP."""
