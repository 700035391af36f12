"""Names of the data sets that a recipe can ask for, each with the module of this package that registers it."""

USER_DEFINED = "module:callable"
"""The entry for user-defined data sets, whose names have a colon."""

MODULES = {
    "cifar10": "torchvision_sets",
    "cifar100": "torchvision_sets",
    "fashion_mnist": "torchvision_sets",
    "image_folder": "image_folder",
    "mnist5k": "mnist5k",
    "synthetic": "synthetic",
    USER_DEFINED: "user_set",
}
