"""What lists show of concerts besides their titles: posters, cities, prices, and sales."""
