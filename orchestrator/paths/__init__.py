"""TA paths: which TAs to put between teacher and student, the question that TAKD leaves open (docs/paths.md).

lattice.py    every path of a ladder
planning.py   their stages, shared by identity
budget.py     which of them are trained, cheapest first
choice.py     finalists, the Pareto front, the cheapest path that is as good as the best
survey.py     all of these for one recipe, and the content of the report
__main__.py   the command
"""
