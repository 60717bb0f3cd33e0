"""A stand-in for TinyURL: it makes short links as TinyURL's API does, and they lead where they should."""
