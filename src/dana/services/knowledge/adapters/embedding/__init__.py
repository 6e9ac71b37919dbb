"""all-MiniLM-L6-v2 as an int8 ONNX graph: obtained once, built once, then run on the processor."""
