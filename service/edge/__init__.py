"""HTTP and gRPC edges: authenticate, check, admit, wait and answer. No torch, no onnxruntime."""
