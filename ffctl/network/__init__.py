"""Several members on one machine: what `ffctl network` makes, starts, stops and shows. Only it loads this package."""
