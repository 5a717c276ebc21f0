"""From a method and a URI to an answer: single requests and batches."""
