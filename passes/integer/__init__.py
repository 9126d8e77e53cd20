"""Integer forms of float operators, one file per family; used by `integerize`."""
