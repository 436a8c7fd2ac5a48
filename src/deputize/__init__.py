"""deputize decides whether an agent may do this, now, on behalf of that person, and proves why."""
