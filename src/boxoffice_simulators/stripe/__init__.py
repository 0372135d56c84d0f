"""The simulator of Stripe: API version 2024-06-20, and a stand-in of its payment fields."""
