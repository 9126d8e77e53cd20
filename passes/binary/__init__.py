"""Making binary layers of real ones: where they are cut, fitted, chosen and written down."""
