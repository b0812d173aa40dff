"""Common ground of all packages: names, data, competitions, errors, files, command lines."""
