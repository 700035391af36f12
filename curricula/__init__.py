"""What is taught when, and by whom: pure functions over arrays, with numpy and nothing else.

`difficulty` turns logits into one number an image and numbers into ranks; `pacing` turns progress into a fraction;
`selection` gives every image an expert; `curriculum` puts the three together.
"""
