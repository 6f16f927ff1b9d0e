"""How tables came to be what they are: a folder for each set of tables, a script for each change, in their order.

`scripts/new_migration.py` writes the next one from what differs. A script that was released is never changed.
"""
