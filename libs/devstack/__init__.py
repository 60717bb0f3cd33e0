"""The embedded servers that `relance up` and the tests start: real ones, from pip alone."""
