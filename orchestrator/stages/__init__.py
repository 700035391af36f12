"""What each kind of stage does. The only place, with the executor, where Ray's libraries are called."""
