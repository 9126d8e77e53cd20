"""Arm's Cortex-M, emulated by QEMU: cores, boards, and programs that need no library.

The target `c` and the object files of the target `cpu` are executed so before they are delivered.
"""
