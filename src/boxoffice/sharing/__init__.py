"""What a concert's page says to programs that run no scripts: previews of links, search engines."""
