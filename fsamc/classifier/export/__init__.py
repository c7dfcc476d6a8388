"""Export of a classifier to one file for other runtimes: ONNX, or a program of torch.export."""
