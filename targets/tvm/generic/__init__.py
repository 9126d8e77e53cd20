"""Generic kernels: every ONNX operator and type that no scheduled rule takes, at float32.

The planner asks the scheduled rules first (`lower.FLOAT32_RULES`) and comes here where they
refuse a node. A generic kernel is one loop nest over row-major tensors of known shape; only
axis 0 may be symbolic, as the batch. It is right for all element types, NaN and infinities
included, and not tuned.

How to add an operator:

1. `registry.py`: name it in `RULES`, with the module that holds its kernel and, where the node
   cannot be handed over as it is, a function of `rules*.py` that plans it. The default plan is
   one call per used output, with all inputs and attributes of the node.
2. `rules*.py` (pure Python, no TVM): such a planning function gets a `Request`: shapes, types,
   constants and attributes of the node. It raises `Unsupported` with a reason, or emits calls
   with `Request.call`, also of several kernels with temporaries between them.
3. The module of its kernel (imports TVM): a function ``kernel(k: Kernel) -> None`` that emits
   the loops, in the module's table `KERNELS` under the operator's name. `kernel.py` has the
   vocabulary: ``k.inputs[0][index]`` loads, ``k.out.store(index, value)`` stores, `nest` loops,
   `Cell` is a variable, `require` checks what is known only at run time. Half precision is
   loaded as float32 and rounded when stored.

An operator that ONNX defines by a function, and every model-local function, needs no entry:
`expand.py` writes it out, and what it consists of is lowered.
"""
