"""What an API is made of: operations, bodies, problems, paging, the OpenAPI document, health."""
