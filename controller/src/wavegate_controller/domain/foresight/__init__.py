"""What a plan is likely to do, found out before users are behind it, by the very code that will decide."""
