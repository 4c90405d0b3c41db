"""The built-in quantizations, judged by the suite that third parties run."""

from quantized_bases import DENSE

from graftlm.testing import QuantizationSuite


class TestNf4(QuantizationSuite):
    quantization = "nf4"
    configs = DENSE
    error = 0.1


class TestFp4(QuantizationSuite):
    quantization = "fp4"
    configs = DENSE
    error = 0.15


class TestInt8(QuantizationSuite):
    quantization = "int8"
    configs = DENSE
    error = 0.01


class TestTorchaoInt8(QuantizationSuite):
    quantization = "torchao-int8"
    configs = DENSE
    error = 0.01
