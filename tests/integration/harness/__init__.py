"""What the integration tests stand on: stacks, clients that no one here wrote, and waiting.

Nothing here sleeps or tries again: everything waits for a condition, with a deadline.
"""
