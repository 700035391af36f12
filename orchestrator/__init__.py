"""CES-KD on Ray: from a recipe to a ladder of experts, final students and a report."""
