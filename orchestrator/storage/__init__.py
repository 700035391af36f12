"""Files and folders on mounted file systems and object stores, with accesses that are tried again."""
