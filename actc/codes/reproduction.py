"""ACT0395..ACT0399: compiling again what a manifest records."""

from __future__ import annotations

from actc.codes.info import CodeInfo

CODES: dict[str, CodeInfo] = {
    "ACT0395": CodeInfo(
        "no compilation can be repeated from this manifest",
        "`actc reproduce` reads manifest.json, which `actc compile` writes: the hashes of model "
        "and data, the options as they were given, versions, and the hash of every file. It "
        "must be complete, as it was written.",
    ),
    "ACT0396": CodeInfo(
        "an input is not the recorded one",
        "To repeat a compilation, model and data must be the same: the model's bytes, the values "
        "of the data's arrays, and the names of both files, which the report holds. They are "
        "looked for beside the manifest, in the directory above and in the current one, unless "
        "--model and --data say where they are.",
    ),
    "ACT0397": CodeInfo(
        "the artefact is not reproduced",
        "Compiling again gave another file, or other entries in the manifest. With the same "
        "versions on the same kind of machine that is an error of actc; please report it. With "
        "other versions, other compilers or a target that stands for this machine (cpu) it can "
        "be expected. What `actc build` adds to report.json is not written again.",
    ),
    "ACT0398": CodeInfo(
        "another version than the recorded one",
        "Libraries and compilers shape the result. The comparison is made all the same; install "
        "the recorded versions to know whether a difference comes from them.",
    ),
    "ACT0399": CodeInfo(
        "a file was changed after it was compiled",
        "The hash of a file beside the manifest is not the one that the manifest holds.",
    ),
}
