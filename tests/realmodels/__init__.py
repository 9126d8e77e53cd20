"""Models trained elsewhere, found in packages, with labelled data made on the spot."""
