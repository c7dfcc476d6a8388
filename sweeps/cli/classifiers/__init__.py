"""Commands on classifiers: `fsamc fit`, `predict`, `add`, `remove`, `rename`, `info`, `export`, `register`."""
