"""`qaztech verify` (being written)."""
def add_parser(verbs):
    verbs.add_parser("verify", help="check a receipt offline")
