"""Gallery of wrong and of unsure answers, with their pictures: what a trial confuses, to be looked at."""
