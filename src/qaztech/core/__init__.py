"""The words of the backbone: identifiers, records, rights, time, errors. Standard library only, no I/O."""
