"""Parts that the commands which carry out a recipe share: options, preparation, execution of a plan on Ray."""
