"""Fitted forms as source code: one program per form, one writer per language."""
