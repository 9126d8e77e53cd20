"""ACT00xx: model files."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
    "ACT0001": CodeInfo(
        "the file is not an ONNX model",
        "actc could not parse the file as an ONNX protobuf. Check the path, and that the file was "
        "exported with torch.onnx.export, tf2onnx or a similar tool and copied whole.",
    ),
    "ACT0002": CodeInfo(
        "external weights are missing or cut short",
        "An ONNX model can keep its weights in other files beside it. One of these is missing "
        "or shorter than the model says; copy them together with the model, under their own "
        "names.",
    ),
    "ACT0003": CodeInfo(
        "external weights lie outside the model's folder",
        "A model may only name weight files in its own folder or below it; a path that leads "
        "elsewhere could read any file of the machine. Save the model with its weights beside "
        "it.",
    ),
    "ACT0004": CodeInfo(
        "a weight does not fit its shape",
        "The bytes of a weight do not make up the shape and type that the model states, so "
        "the file is damaged or was written by a faulty exporter. Export the model again.",
    ),
    "ACT0005": CodeInfo(
        "the model names no operator set",
        "An ONNX model must say which version of the standard operators it uses. Export it "
        "again; opset 17 or later suits actc best.",
    ),
    "ACT0006": CodeInfo(
        "a weight is not a number",
        "A weight holds NaN or infinite values, which usually comes from a training run that "
        "diverged. Such a network computes nothing useful, and its ranges cannot be quantized.",
    ),
    "ACT0007": CodeInfo(
        "the model is not valid ONNX",
        "The ONNX checker refuses the model: a node reads a value that nobody computes, an "
        "attribute is missing, or types do not match. Export the model again.",
    ),
    "ACT0008": CodeInfo(
        "the operator set could not be converted",
        "actc works on opset 21 or later and converts older models. The converter of the onnx "
        "package failed on this one; export the model again with a newer opset.",
    ),
    "ACT0009": CodeInfo(
        "an input of the model cannot be fed",
        "Each input must be a tensor of numbers with a known element type and rank. "
        "Sequences, strings and inputs without a shape cannot be calibrated. The first axis of all "
        "inputs and outputs must be the batch, unless the model is taken whole (float32).",
    ),
    "ACT0010": CodeInfo(
        "an input has dynamic dimensions and there is no data",
        "Without data actc cannot know how large the dynamic dimensions of an input are. Pass "
        "--data with samples of the size that the network will see; only the batch axis may "
        "stay open.",
    ),
    "ACT0011": CodeInfo(
        "the model does not run",
        "onnxruntime refuses the model, or cannot run it on the data. The usual causes are types "
        "or shapes that do not fit, and a batch size fixed inside the network (a Reshape to "
        "[1, 256], say) while the input leaves it open. Export the model again.",
    ),
    "ACT0012": CodeInfo(
        "a sparse tensor",
        "Weights must be dense tensors; actc does not read sparse ones. Export the model with "
        "dense weights.",
    ),
    "ACT0013": CodeInfo(
        "the results change from run to run",
        "The model draws random numbers: it was exported in training mode, or it samples noise "
        "itself. Nothing can be compared with such a model. Export it for inference.",
    ),
    "ACT0014": CodeInfo(
        "a value that is not a tensor",
        "Sequences and optional values of ONNX hold lists of tensors or nothing; actc compiles "
        "networks of tensors only.",
    ),
    "ACT0015": CodeInfo(
        "a value without elements",
        "An axis has length 0, so there is nothing to compute or to measure. Check the shapes of "
        "the network and of the data.",
    ),
    "ACT0016": CodeInfo(
        "reals that are not float32",
        "actc starts from a network in float32 and chooses smaller numbers. Export models of "
        "double, float16 or bfloat16 numbers again in float32.",
    ),
    "ACT0017": CodeInfo(
        "torch cannot export the module",
        "Torch has two exporters to ONNX, and actc.export() tries both: from torch.export and "
        "from a trace. Neither gave a model that does what the module does, on the example and "
        "on one sample more. The notes say what each ran into; usual causes are control flow "
        "that depends on values, and batch sizes that are fixed inside the network.",
    ),
    "ACT0060": CodeInfo(
        "more memory than there is, or than a model may take",
        "A model with its weights, and each tensor that it computes from one sample, may take up "
        "to 2 GiB. Beyond that, or where the machine or a limit (`ulimit -v`) gives less, actc "
        "stops and nothing is written. A few bytes can ask for terabytes: the usual cause are "
        "wrong shapes.",
    ),
    "ACT0061": CodeInfo(
        "a model that expands or runs without end",
        "Calls of functions are written out, and loops of a constant number of rounds run as "
        "often as that says. More than 100,000 nodes, functions that call each other more than "
        "100 deep or in a circle, and loops of more than a million rounds are refused.",
    ),
    "ACT0062": CodeInfo(
        "a version of operators that cannot be",
        "A model says which version of each domain's operators it uses, once for each domain, "
        "and versions count from 1. Where two versions are given, nobody can say which is meant.",
    ),
    "ACT0063": CodeInfo(
        "a run of the model takes too long",
        "How often a loop runs can depend on the data, and it may never end. One run of the model, "
        "on one batch, is stopped after 600 seconds, or after as many as the environment variable "
        "ACTC_RUN_SECONDS says; 0 is no limit. An operator that has begun runs to its end first.",
    ),
    "ACT0064": CodeInfo(
        "a time limit that is no number of seconds",
        "The environment variable ACTC_RUN_SECONDS must be a number of seconds, 0 for no limit.",
    ),
    "ACT0065": CodeInfo(
        "a model of a compiled directory does not run",
        "onnxruntime refuses float.onnx, approximated.onnx or golden.onnx of the directory, though "
        "its manifest has the SHA-256 of what is there: it was written by another program, or with "
        "operators that this version of onnxruntime does not have. Compile the model again.",
    ),
    "ACT0067": CodeInfo(
        "a directory that is not what its manifest says",
        "manifest.json has the SHA-256 of every file that a compilation wrote. Commands that read "
        "such a directory compare these first, and load or run nothing of it where a file is "
        "missing, was changed, or would be read although the manifest does not have it. "
        "That finds damage, copies that are not whole, and files of another result. It is no "
        "signature: whoever can change a file can change the manifest, too.",
    ),
}
