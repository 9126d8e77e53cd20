"""ACT0472 to ACT0478: C for microcontrollers."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
    "ACT0472": CodeInfo(
        "a kernel has no form in integer C",
        "The target `c` writes the same kernels as `cpu` does, as C without float. This one "
        "computes in float, or is made of parts that only machine code has. All such places are "
        "listed at once. `--target cpu` and `--target onnx` run the model.",
    ),
    "ACT0473": CodeInfo(
        "an option of the target c is wrong",
        "Behind `c:` stand options with commas between them: name=, the name of the files and the "
        "prefix of the functions, and seconds=, the limit of the integer program that plans the "
        "arena. `actc targets c` lists them.",
    ),
    "ACT0474": CodeInfo(
        "there is no C code in the directory",
        "The directory has no signature.json of the target `c`, or a source is missing: it was not "
        "compiled, was compiled for another target, or files were removed.",
    ),
    "ACT0475": CodeInfo(
        "the compiled C code wrote less or more than the outputs",
        "main.c reads samples and writes the outputs of each; what it wrote are not whole samples. "
        "That happens where main.c or the network's file was changed by hand.",
    ),
}
