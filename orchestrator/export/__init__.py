"""Taking a trained network away: ``python -m orchestrator.export`` (docs/export.md).

A network of a finished run becomes files that do not need this project: weights (safetensors), a graph that PyTorch
alone runs (torch.export), a graph that ONNX Runtime runs, in fp32 or int8. Every file is opened again and compared with
the network before it gets its name, and a model card is written beside them.
"""
