"""What the small stand-ins have in common: bad days on demand, a page's headers, their life as a process."""
