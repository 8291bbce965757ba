"""One run: the plan, the budget, who embeds what, progress, and what carries the workers."""
