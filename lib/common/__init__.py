"""Ground that every package stands on: names, data, competitions, errors, files, command lines."""
