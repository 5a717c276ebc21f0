"""The objects of the API and their rules; `table` lists them."""
