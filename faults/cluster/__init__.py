"""The installation under test: embedded servers, processes of the product, and proxies between them."""
