"""The target `cuda`: device code from Apache TVM and nvcc."""

from actc.targets.tvm.cuda.target import CudaTarget

__all__ = ["CudaTarget"]
