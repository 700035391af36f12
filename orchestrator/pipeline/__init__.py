"""The stages that follow from a recipe: specs, the graph, the plan. No torch, no ray."""
