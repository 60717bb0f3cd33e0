"""The Stripe simulator, as a process, driven through the real `stripe` library."""
