"""Products with a bias in the form that onnxruntime has integer kernels for."""

from __future__ import annotations

import onnx_ir as ir

from actc.ir.graph import constant, is_op, only_user, rank, replace_node


def join_bias(graph: ir.Graph) -> None:
    """Join MatMul and the Add of its bias.

    Rows of one matrix become Gemm, whose integer kernel QGemm takes the bias into its
    accumulator. (As MatMul and Add, onnxruntime joins them itself, but to a Gemm with a
    float bias, for which it has no integer kernel; it then dequantizes the weights in
    each call.) Stacks of matrices stay MatMul and Add; the product in between loses its
    format, since MatMulIntegerToFloat gives it without rounding to codes.
    """
    for node in list(graph):
        if not is_op(node, "Add"):
            continue
        product, bias = node.inputs[0], node.inputs[1]
        if constant(product) is not None:
            product, bias = bias, product
        matmul = None if product is None else product.producer()
        if matmul is None or product is None or not is_op(matmul, "MatMul"):
            continue
        weights, terms = constant(matmul.inputs[1]), constant(bias)
        if weights is None or terms is None or weights.ndim != 2 or only_user(product) is not node:
            continue
        if terms.size != weights.shape[1] or terms.shape[-1:] != (terms.size,):
            continue
        if rank(matmul.inputs[0]) == 2 and terms.ndim == 1:
            gemm = ir.node("Gemm", [*matmul.inputs, bias], name=matmul.name)
            output = node.outputs[0]
            replace_node(node, [gemm], gemm.outputs[0])
            gemm.outputs[0].metadata_props.update(output.metadata_props)
            graph.remove(matmul, safe=True)
        else:
            product.metadata_props.clear()
