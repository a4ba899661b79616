"""Instructions by function: readers of two formats, the model, names, components, comparison. Pure."""
