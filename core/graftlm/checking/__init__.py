"""What is wrong with data, and what it looks like: ``graftlm data check``, in the front process."""
