"""Names of the data sets that a recipe can ask for, each with the module of this package that registers it."""

USER_DEFINED = "module:callable"
"""The entry for user-defined data sets, whose names have a colon."""

MODULES = {
    "cifar10": "torchvision_sets",
    "cifar100": "torchvision_sets",
    "fashion_mnist": "torchvision_sets",
    "image_folder": "image_folder",
    "mnist5k": "mnist5k",
    "parquet": "parquet",
    "saved_dataset": "saved_dataset",
    "synthetic": "synthetic",
    USER_DEFINED: "user_set",
}

PHOTO_SETS = ("image_folder", "parquet", "saved_dataset")
"""Sets of encoded photos, of any number and size, which are listed once; their modules are ``manifests.PhotoSet``."""

IN_BUCKETS = ("image_folder", "parquet")
"""Those of them that are also read from object stores."""

TABLES = ("parquet", "saved_dataset")
"""Those of them whose photos lie in columns of tables."""
