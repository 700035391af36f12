"""Files of weights that were trained elsewhere."""
