"""Trained models in a form that other programs read: ONNX."""

import torch

import ign_core


def onnx_of(model: ign_core.Model, half: bool = False) -> bytes:
    """f as an ONNX file: input "y" (n, *shape), output "fy", the same shape, both float32, for any n.

    half: matrices and kernels are stored in 16 bits, and cast when they are read, so that sums stay in 32.
    ValueError: the packages that write ONNX are not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401, torch's exporter asks for it
    except ImportError:
        raise ValueError("ONNX needs the packages onnx and onnxscript; run `pip install 'ign-book[onnx]'`.") from None
    y = model.source.sample(2, torch.Generator().manual_seed(0))
    program = torch.onnx.export(
        model.f, (y,), dynamo=True, external_data=False, verbose=False,
        input_names=["y"], output_names=["fy"], dynamic_shapes=({0: torch.export.Dim("n")},),
    )  # fmt: skip
    written = program.model_proto
    for weight in written.graph.initializer if half else ():
        if weight.data_type == onnx.TensorProto.FLOAT and len(weight.dims) > 1:
            numbers, stored = onnx.numpy_helper.to_array(weight), f"{weight.name}, half"
            cast = onnx.helper.make_node("Cast", [stored], [weight.name], to=onnx.TensorProto.FLOAT)
            weight.CopyFrom(onnx.numpy_helper.from_array(numbers.astype("float16"), stored))
            written.graph.node.insert(0, cast)
    onnx.checker.check_model(written)
    return written.SerializeToString()
