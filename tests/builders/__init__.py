"""Things to test with, made with few words."""
