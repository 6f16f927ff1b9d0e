"""Keys, signed envelopes and certificates. Who may use them is decided in `registry` and `node`."""
