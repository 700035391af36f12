"""Curves and hyper-parameters of trainings: TensorBoard, MLflow, Weights & Biases."""
