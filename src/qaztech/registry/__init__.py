"""Who exists, who speaks for whom, who may call what: signed, published, fetched, verified."""
